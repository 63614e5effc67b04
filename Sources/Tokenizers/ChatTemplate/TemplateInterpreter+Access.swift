extension TemplateInterpreter {
    // MARK: - Attributes and items

    /// `value.name`: an attribute in Python's sense, such as a method, else the item of that name.
    func attribute(_ name: String, of value: TemplateValue) throws(ChatTemplateError) -> TemplateValue {
        if case .undefined(let message) = value { throw failure(message) }
        if let attribute = try ownAttribute(name, of: value) { return attribute }
        return lookUp(.text(name), in: value) ?? missing(.text(name), of: value)
    }

    /// `value[index]`: an item, else the attribute of that name.
    func item(_ index: TemplateValue, of value: TemplateValue) throws(ChatTemplateError) -> TemplateValue {
        if case .undefined(let message) = value { throw failure(message) }
        try spend(on: value)
        try spend(on: index)
        if let item = lookUp(index, in: value) { return item }
        if let name = index.string, let attribute = try ownAttribute(name, of: value) { return attribute }
        return missing(index, of: value)
    }

    private func missing(_ index: TemplateValue, of value: TemplateValue) -> TemplateValue {
        let owner: String
        if case .none = value { owner = "None" } else { owner = "\(value.typeName) object" }
        if let name = index.string { return .undefined("'\(owner)' has no attribute '\(name.prefix(80))'") }
        return .undefined("'\(owner)' has no element \(index.index.map(String.init) ?? "of that index")")
    }

    /// Python's `value[index]`, or nil where Python raises.
    private func lookUp(_ index: TemplateValue, in value: TemplateValue) -> TemplateValue? {
        switch value {
        case .dictionary(let dictionary): return TemplateKey(index).flatMap { dictionary.members[$0] }
        case .list(let items), .tuple(let items):
            return position(index, count: items.items.count).map { items.items[$0] }
        case .range(let range): return position(index, count: range.count).map { .integer(range[$0]) }
        case .string(let string):
            guard index.index != nil else { return nil }
            let scalars = string.text.unicodeScalars
            return position(index, count: scalars.count).map {
                let scalar = scalars[scalars.index(scalars.startIndex, offsetBy: $0)]
                return .string(TemplateString(String(scalar), isMarkup: string.isMarkup))
            }
        default: return nil
        }
    }

    private func position(_ index: TemplateValue, count: Int) -> Int? {
        guard let index = index.index else { return nil }
        if index >= 0 { return index < count ? index : nil }
        return index >= -count ? count + index : nil
    }

    /// The attribute Python's object itself has. What would change a list or dictionary, or lies behind an underscore,
    /// is undefined, as the sandbox has it.
    private func ownAttribute(
        _ name: String, of value: TemplateValue
    ) throws(ChatTemplateError) -> TemplateValue? {
        if name.hasPrefix("__"), name.hasSuffix("__") {
            return .undefined("access to attribute '\(name.prefix(80))' is unsafe")
        }
        switch value {
        case .namespace(let namespace): return namespace.attributes[name]
        case .loop(let loop): return try attribute(name, of: loop)
        case .cycler(let cycler) where name == "current": return cycler.current
        case .macro(let macro) where name == "name": return .text(macro.definition.name)
        case .range(let range) where ["start", "stop", "step"].contains(name):
            return .integer(name == "start" ? range.start : name == "stop" ? range.stop : range.step)
        default: break
        }
        let methods = TemplateMethods.names(of: value)
        if methods.mutating.contains(name) {
            return .undefined("a template cannot change a \(value.typeName): '\(name)' is unsafe")
        }
        return methods.callable.contains(name) ? .method(TemplateMethod(receiver: value, name: name)) : nil
    }

    private func attribute(_ name: String, of loop: TemplateLoop) throws(ChatTemplateError) -> TemplateValue? {
        switch name {
        case "index0": return .integer(loop.index0)
        case "index": return .integer(loop.index0 + 1)
        case "first": return .boolean(loop.index0 == 0)
        case "last": return .boolean(try loop.peek() == nil)
        case "length": return .integer(try length(of: loop))
        case "revindex": return .integer(try length(of: loop) - loop.index0)
        case "revindex0": return .integer(try length(of: loop) - loop.index0 - 1)
        case "previtem": return loop.previous ?? .undefined("there is no previous item")
        case "nextitem": return try loop.peek() ?? .undefined("there is no next item")
        case "depth": return .integer(loop.depth0 + 1)
        case "depth0": return .integer(loop.depth0)
        case "cycle": return .method(TemplateMethod(receiver: .loop(loop), name: name))
        default: return nil
        }
    }

    private func length(of loop: TemplateLoop) throws(ChatTemplateError) -> Int {
        try loop.length { iterator throws(ChatTemplateError) in try items(of: .iterator(iterator)) }
    }

    // MARK: - Slices

    /// `value[start:stop:step]`.
    func slice(_ value: TemplateValue, _ bounds: [TemplateValue]) throws(ChatTemplateError) -> TemplateValue {
        switch value {
        case .list(let items): return try list(try selected(items.items, bounds))
        case .tuple(let items): return try tuple(try selected(items.items, bounds))
        case .string(let string):
            try spend(bytes: string.text.utf8.count)
            let scalars = try selected(Array(string.text.unicodeScalars), bounds)
            return .string(TemplateString(PythonText.string(scalars), isMarkup: string.isMarkup))
        case .range(let range):
            let positions = try positions(bounds, count: range.count)
            // The bounds of a slice of a range: its own, cut at the ends, measured along the range.
            let (step, overflow) = range.step.multipliedReportingOverflow(by: bounds[2].index ?? 1)
            let last = range.start + positions.stop * range.step
            guard !overflow,
                let result = TemplateRange(start: range[positions.start], stop: last, step: step)
            else { throw failure("a slice of a range overflows") }
            return .range(result)
        case .undefined(let message): throw failure(message)
        default: throw failure("a '\(value.typeName)' cannot be sliced")
        }
    }

    private func selected<Item>(
        _ items: [Item], _ bounds: [TemplateValue]
    ) throws(ChatTemplateError) -> [Item] {
        let (start, stop, step) = try positions(bounds, count: items.count)
        if step == 1 { return start < stop ? Array(items[start..<stop]) : [] }
        return stride(from: start, to: stop, by: step).map { items[$0] }
    }

    /// Python's rules for the bounds of a slice of `count` items.
    private func positions(
        _ bounds: [TemplateValue], count: Int
    ) throws(ChatTemplateError) -> (start: Int, stop: Int, step: Int) {
        for bound in bounds {
            if case .none = bound { continue }
            guard bound.index != nil else { throw failure("the bounds of a slice must be integers or none") }
        }
        let step = bounds[2].index ?? 1
        guard step != 0 else { throw failure("the step of a slice cannot be zero") }
        let lowest = step > 0 ? 0 : -1
        let highest = step > 0 ? count : count - 1
        func clamped(_ bound: Int?, _ initial: Int) -> Int {
            guard let bound else { return initial }
            let fromEnd = bound < 0 ? max(bound, -count - 1) + count : bound
            return min(max(fromEnd, lowest), highest)
        }
        let start = clamped(bounds[0].index, step > 0 ? lowest : highest)
        let stop = clamped(bounds[1].index, step > 0 ? highest : lowest)
        // A step beyond the items takes just the first; cut it, so that striding cannot overflow.
        return (start, stop, min(max(step, -count - 1), count + 1))
    }
}
