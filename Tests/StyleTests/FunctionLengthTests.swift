import Testing

@Suite struct FunctionLengthTests {
    private static func functions(_ text: String, path: String = "A.swift") -> [FunctionLengths.Function] {
        FunctionLengths.functions(in: SourceFile(path: path, text: text))
    }

    private static func body(lines: Int) -> String { String(repeating: "    a()\n", count: lines) }

    @Test func findsLongFunctions() {
        let longest = "func f(\n    a: Int\n) throws(E) -> [Int] where A: B {\n" + Self.body(lines: 66) + "}\n"
        #expect(Self.functions(longest).map(\.lineCount) == [70])
        #expect(FunctionLengths.violations(in: SourceFile(path: "A.swift", text: longest)).isEmpty)
        let tooLong = "\n" + longest.replacing("    a: Int\n", with: "    a: Int,\n    b: Int\n")
        #expect(
            FunctionLengths.violations(in: SourceFile(path: "A.swift", text: tooLong)).map(\.description)
                == ["A.swift:2: f has 71 lines, at most 70"])
    }

    @Test(arguments: ["init?(a: Int) {", "public init<A>(a: A) {", "deinit {", "subscript(a: Int) -> Int {"])
    func countsEveryKind(of head: String) {
        #expect(Self.functions("struct A {\n\(head)\n\n// }\n}\n}\n").map(\.lineCount) == [4])
    }

    @Test func countsInnerFunctionsForBoth() {
        let text = "func f() {\n    func g() {\n        h { init(a) }\n    }\n}\n"
        #expect(Self.functions(text).map(\.lineCount) == [5, 3])
    }

    @Test func passesOverWhatHasNoBody() {
        let text = """
            protocol A {
                func f(a: () -> Void) async throws -> Int
                init(a: Int)
                func g() -> (Int) -> Void
                var h: Int { get }
            }
            extension A {
                func i() { self.init(a: 1) }
            }
            let j = B.init(a: 2)

            """
        #expect(Self.functions(text).map(\.name) == ["i"])
    }

    @Test func readsC() {
        let text = """
            extern "C" {
            struct a { int b; };
            int f(int a);
            enum c { D, E };
            static const int g[] = {1, 2};
            static inline __attribute__((always_inline)) int
            h(int a) {
                if (a) { return 1; }
                return 2;
            }
            #define I(x) { \\
                x
            void j(void) {}
            }
            void k(void)
            {
            }
            namespace l {
            namespace {
            const char *m = R"(
                push {r1}
            )";
            struct n { int o() const { return 1'000; } };
            template <typename T>
            T p(T a) {
                return a;
            }
            }
            }

            """
        #expect(Self.functions(text, path: "a.inc.h").map(\.firstLine) == [6, 13, 15, 24])
        #expect(Self.functions(text, path: "a.inc.h").map(\.lineCount) == [5, 1, 3, 4])
    }
}
