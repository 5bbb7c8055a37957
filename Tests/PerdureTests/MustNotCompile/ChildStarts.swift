extension Snippet {
    /// The start of a child says what a step says, but for its effect.
    static let children = [
        Snippet(
            "a child without an undo",
            #"""
            // expect: 'child(_:id:input:policy:)' is unavailable: a child says how it is undone: 'undo: { output, step in … }' or 'irreversible: "why"' after 'input:'
            let text = try await context.child(Echo.self, id: "1", input: "db", policy: .abandon)
            print(text)
            """#),
        Snippet(
            "a child without an input",
            #"""
            // expect: 'child(_:id:policy:irreversible:)' is unavailable: a child records an input: add 'input:' ('input: Nothing()' if there is none)
            // expect: 'child(_:id:policy:undoing:undo:)' is unavailable: a child records an input: add 'input:' ('input: Nothing()' if there is none)
            let first = try await context.child(Echo.self, irreversible: "it is said")
            let second = try await context.child(Echo.self) { text, step in print(text, step.attempt) }
            print(first, second)
            """#),
        Snippet(
            "a child with neither input nor undo",
            #"""
            // expect: 'child(_:id:policy:)' is unavailable: a child says its input and its undo: child(TYPE, input:) { … }, or 'irreversible: "why"' after 'input:'
            let text = try await context.child(Echo.self)
            print(text)
            """#),
        Snippet(
            "a detached child without a reason",
            #"""
            // expect: 'startChild(_:id:input:)' is unavailable: a child that goes on by itself is not undone: say why with 'irreversible: "why"' after 'input:'
            let run = try await context.startChild(Echo.self, input: "db")
            print(run)
            """#),
        Snippet(
            "a child with another input",
            #"""
            // expect: cannot convert value of type 'Int' to expected argument type 'String'
            let text = try await context.child(Echo.self, input: 7, irreversible: "it is said")
            print(text)
            """#),
    ]
}
