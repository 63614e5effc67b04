extension TemplateInterpreter {
    /// Python's `str(value)`: what a template prints.
    func text(of value: TemplateValue) throws(ChatTemplateError) -> String {
        switch value {
        case .string(let string): return string.text
        case .undefined: return ""
        default: return try representation(of: value)
        }
    }

    /// Python's `repr(value)`.
    func representation(of value: TemplateValue) throws(ChatTemplateError) -> String {
        var text = ""
        try write(value, into: &text)
        return text
    }

    private func append(_ piece: String, to text: inout String) throws(ChatTemplateError) {
        try spend(bytes: piece.utf8.count)
        guard text.utf8.count + piece.utf8.count <= limits.maximumOutputBytes else {
            throw excess("the template makes a text of more than \(limits.maximumOutputBytes) bytes")
        }
        text += piece
    }

    private func write(_ value: TemplateValue, into text: inout String) throws(ChatTemplateError) {
        switch value {
        case .list(let items): try write(items.items, in: ("[", "]"), into: &text)
        case .tuple(let items):
            try write(items.items, in: ("(", items.items.count == 1 ? ",)" : ")"), into: &text)
        case .dictionary(let dictionary): try write(dictionary, into: &text)
        case .view(let view):
            try append(value.typeName, to: &text)
            try write(view.elements, in: ("([", "])"), into: &text)
        case .namespace(let namespace):
            try append("<Namespace ", to: &text)
            var attributes = TemplateDictionary()
            for (name, value) in namespace.attributes { attributes.set(value, for: TemplateKey(text: name)) }
            try write(attributes, into: &text)
            try append(">", to: &text)
        case .loop(let loop):
            let length = try loop.length { iterator throws(ChatTemplateError) in try items(of: .iterator(iterator)) }
            try append("<LoopContext \(loop.index0 + 1)/\(length)>", to: &text)
        default: try append(simpleRepresentation(of: value), to: &text)
        }
    }

    /// Python prints addresses for iterators, functions and the like; no template can depend on them.
    private func simpleRepresentation(of value: TemplateValue) -> String {
        switch value {
        case .undefined: "Undefined"
        case .none: "None"
        case .boolean(let value): value ? "True" : "False"
        case .integer(let value): String(value)
        case .float(let value): PythonNumber.representation(value)
        case .string(let string):
            string.isMarkup
                ? "Markup(\(PythonText.representation(string.text)))" : PythonText.representation(string.text)
        case .range(let range):
            range.step == 1
                ? "range(\(range.start), \(range.stop))" : "range(\(range.start), \(range.stop), \(range.step))"
        case .macro(let macro): "<Macro '\(macro.definition.name)'>"
        case .function(let function): "<function \(function.rawValue)>"
        case .method(let method): "<method '\(method.name)' of '\(method.receiver.typeName)' objects>"
        default: "<\(value.typeName) object>"
        }
    }

    private func write(
        _ items: [TemplateValue], in brackets: (String, String), into text: inout String
    ) throws(ChatTemplateError) {
        try append(brackets.0, to: &text)
        for (index, item) in items.enumerated() {
            if index > 0 { try append(", ", to: &text) }
            try writeDeeper(item, into: &text)
        }
        try append(brackets.1, to: &text)
    }

    private func write(_ dictionary: TemplateDictionary, into text: inout String) throws(ChatTemplateError) {
        try append("{", to: &text)
        var isFirst = true
        for (key, value) in dictionary.members {
            if !isFirst { try append(", ", to: &text) }
            isFirst = false
            try writeDeeper(key.value, into: &text)
            try append(": ", to: &text)
            try writeDeeper(value, into: &text)
        }
        try append("}", to: &text)
    }

    private func writeDeeper(_ value: TemplateValue, into text: inout String) throws(ChatTemplateError) {
        try enter()
        defer { leave() }
        try write(value, into: &text)
    }
}
