/// An expression of a template, with its line for error messages.
struct TemplateExpression: Sendable {
    let line: Int
    /// Longest path down to a leaf. Bounded by the parser, so that recursion over the tree, including its release,
    /// stays within the stack whatever the template looks like.
    let depth: Int
    let kind: Kind

    indirect enum Kind: Sendable {
        case literal(Literal)
        case name(String)
        case tuple([TemplateExpression])
        case list([TemplateExpression])
        case dictionary([Pair])
        case attribute(TemplateExpression, String)
        case item(TemplateExpression, TemplateExpression)
        case slice(TemplateExpression, Slice)
        case call(TemplateExpression, Arguments)
        case filter(TemplateExpression, String, Arguments)
        /// What a filter block or a block assignment captured, as the input of its filters.
        case capturedOutput
        case test(TemplateExpression, String, Arguments)
        case not(TemplateExpression)
        case negate(TemplateExpression)
        case plus(TemplateExpression)
        case and(TemplateExpression, TemplateExpression)
        case or(TemplateExpression, TemplateExpression)
        case conditional(test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
        case arithmetic(Arithmetic, TemplateExpression, TemplateExpression)
        case concatenation([TemplateExpression])
        case comparison(TemplateExpression, [Operand])
    }

    enum Literal: Sendable {
        case none
        case boolean(Bool)
        case integer(Int)
        case float(Double)
        case string(String)
    }

    struct Pair: Sendable {
        let key: TemplateExpression
        let value: TemplateExpression
    }

    struct Slice: Sendable {
        let start: TemplateExpression?
        let stop: TemplateExpression?
        let step: TemplateExpression?

        var parts: [TemplateExpression] { [start, stop, step].compactMap { $0 } }
    }

    /// The arguments of a call: `f(a, key=b, *spread, **keywordSpread)`.
    struct Arguments: Sendable {
        var positional: [TemplateExpression] = []
        var keywords: [(name: String, value: TemplateExpression)] = []
        var spread: TemplateExpression?
        var keywordSpread: TemplateExpression?

        var parts: [TemplateExpression] {
            positional + keywords.map(\.value) + [spread, keywordSpread].compactMap { $0 }
        }
    }

    enum Arithmetic: String, Sendable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
        case floorDivide = "//"
        case remainder = "%"
        case power = "**"
    }

    enum Comparison: String, Sendable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case contained = "in"
        case notContained = "not in"
    }

    struct Operand: Sendable {
        let comparison: Comparison
        let expression: TemplateExpression
    }
}

/// What an assignment or a loop stores into.
indirect enum TemplateTarget: Sendable {
    case name(String)
    case namespaceAttribute(namespace: String, attribute: String)
    case tuple([TemplateTarget])
}

/// A statement of a template, with its line for error messages.
struct TemplateStatement: Sendable {
    let line: Int
    let kind: Kind

    indirect enum Kind: Sendable {
        case text(String)
        case output([TemplateExpression])
        case condition([Branch], otherwise: [TemplateStatement])
        case loop(Loop)
        case assign(TemplateTarget, TemplateExpression)
        /// `filter` takes the captured output of `body`.
        case assignBlock(TemplateTarget, filter: TemplateExpression?, body: Body)
        case macro(Macro)
        /// `call`'s macro gets `body` as its `caller`.
        case callBlock(TemplateExpression, body: Macro)
        case filterBlock(TemplateExpression, body: Body)
        case with([(target: TemplateTarget, value: TemplateExpression)], body: Body)
        /// A `generation` block: a scope of its own, and otherwise transparent.
        case scope(Body)
        case leaveLoop
        case continueLoop
    }

    /// Statements with a scope of their own.
    struct Body: Sendable {
        let statements: [TemplateStatement]
        let names: ScopeNames
    }

    struct Branch: Sendable {
        let test: TemplateExpression
        let statements: [TemplateStatement]
    }

    struct Loop: Sendable {
        let target: TemplateTarget
        let sequence: TemplateExpression
        let filter: TemplateExpression?
        let body: Body
        let otherwise: Body
    }

    struct Macro: Sendable {
        let name: String
        let parameters: [(name: String, initial: TemplateExpression?)]
        let body: Body
        let usesCaller: Bool
        let usesKeywords: Bool
        let usesExtraArguments: Bool
    }
}

/// How jinja2's compiler resolves the names of one scope.
///
/// A name that a scope assigns before it reads it is local to the scope from its start on: a loop or macro inside
/// that runs before the assignment sees an undefined value, even where the caller passed a variable of that name.
struct ScopeNames: Sendable {
    /// Names the scope reads or assigns itself.
    var known: Set<String> = []
    /// Those whose first use is an assignment outside any `if`.
    var assignedFirst: Set<String> = []
}
