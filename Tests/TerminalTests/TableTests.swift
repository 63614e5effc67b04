import Testing

@testable import Terminal

@Suite struct TableTests {
    private let colourful = OutputTraits(isTerminal: true, columns: 80, allowsColour: true, allowsUnicode: true)

    private var table: Table {
        var table = Table([.text("name"), .number("size"), .text("sparsity")])
        table.append(["blk.0.attn_q", "663.6 kB", "80.0 % " + Bar.text(0.8, cells: 5, allowsUnicode: true)])
        table.append(["模型", "1 B", ""])
        table.appendRule()
        table.append(["total", "663.6 kB", ""])
        return table
    }

    @Test func alignsWordsLeftAndFiguresRight() {
        let expected = """
            name              size  sparsity
            ------------  --------  ------------
            blk.0.attn_q  663.6 kB  80.0 % ▇▇▇▇░
            模型               1 B
            ------------  --------  ------------
            total         663.6 kB

            """
        #expect(table.text(for: .plain) == expected)
    }

    @Test func usesBoldAndLinesWhereWelcome() {
        let lines = table.text(for: colourful).split(separator: "\n")
        #expect(lines[0] == "\u{1B}[1mname              size  sparsity\u{1B}[0m")
        #expect(lines[1] == "────────────  ────────  ────────────")
        #expect(!table.text(for: .plain).contains("\u{1B}"))
    }

    @Test func setsHeadlinesApart() {
        var table = Table([.text("format"), .number("speed")])
        table.appendHeadline("one token, a long line\u{7}")
        table.append(["dense", "1.0"])
        table.appendHeadline("two tokens")
        table.append(["dense", "2.0"])
        let expected = """
            format  speed
            ------  -----
            one token, a long line\\u{7}
            dense     1.0
            ------  -----
            two tokens
            dense     2.0

            """
        #expect(table.text(for: .plain) == expected)
        #expect(table.text(for: colourful).contains("\u{1B}[1mtwo tokens\u{1B}[0m\n"))
    }

    @Test func leavesNoSpacesAtTheEndOfALine() {
        for line in table.text(for: .plain).split(separator: "\n") { #expect(line.last != " ") }
        #expect(Table([.text("only")]).text(for: .plain) == "only\n----\n")
    }

    @Test func spellsOutWhatWouldSteerTheTerminal() {
        var table = Table([.text("name")])
        table.append(["a\u{1B}[2Jb\nc\u{202E}d\u{9B}"])
        let text = table.text(for: .plain)
        #expect(text.contains("a\\u{1B}[2Jb\\u{A}c\\u{202E}d\\u{9B}"))
        #expect(text.split(separator: "\n").count == 3)
    }
}

@Suite struct BarTests {
    @Test func fillsInProportion() {
        #expect(Bar.text(0.6, cells: 5, allowsUnicode: true) == "▇▇▇░░")
        #expect(Bar.text(0.6, cells: 5, allowsUnicode: false) == "###--")
        for cells in 0...40 {
            for step in 0...100 {
                let bar = Bar.text(Double(step) / 100, cells: cells, allowsUnicode: false)
                #expect(bar.count == cells)
                if cells > 1 {
                    #expect((bar == String(repeating: "#", count: cells)) == (step == 100))
                    #expect((bar == String(repeating: "-", count: cells)) == (step == 0))
                }
            }
        }
    }

    @Test func survivesWhatIsNoShare() {
        for share in [-1, Double.nan, -Double.infinity, -0.0] {
            #expect(Bar.text(share, cells: 3, allowsUnicode: false) == "---")
        }
        for share in [1.5, .infinity] { #expect(Bar.text(share, cells: 3, allowsUnicode: false) == "###") }
    }
}

@Suite struct PrintableTextTests {
    @Test func leavesOrdinaryTextAlone() {
        for text in ["", "blk.0", "naïve 模型 🦙 \u{300}", "a b"] { #expect(text.printable == text) }
        #expect("\u{0}\u{7F}\u{85}\u{2028}".printable == "\\u{0}\\u{7F}\\u{85}\\u{2028}")
    }

    @Test func measuresCells() {
        let expected = [("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("模型", 4), ("🦙", 2), ("\u{301}", 0)]
        for (text, width) in expected { #expect(text.displayWidth == width) }
    }

    @Test func truncatesToEveryWidth() {
        let text = "sample 模型 text 🦙🦙"
        for width in 0...30 {
            for allowsUnicode in [false, true] {
                let short = text.truncated(toWidth: width, allowsUnicode: allowsUnicode)
                #expect(short.displayWidth <= width)
                #expect((short == text) == (width >= text.displayWidth))
            }
        }
        #expect("abcdef".truncated(toWidth: 4, allowsUnicode: true) == "abc…")
        #expect("abcdef".truncated(toWidth: 4, allowsUnicode: false) == "a...")
        #expect("abcdef".truncated(toWidth: -1, allowsUnicode: true) == "")
        let long = String(repeating: "x", count: 1 << 20)
        #expect(long.truncated(toWidth: 5, allowsUnicode: false) == "xx...")
    }
}
