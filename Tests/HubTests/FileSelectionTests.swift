import Testing

@testable import Hub

@Suite struct FileSelectionTests {
    private func file(_ path: String) -> RepositoryFile {
        RepositoryFile(path: path, byteCount: 1, digest: .gitBlob(String(repeating: "0", count: 40)))
    }

    private func listing(_ paths: [String]) -> RepositoryListing {
        RepositoryListing(commit: String(repeating: "0", count: 40), files: paths.map(file))
    }

    private func select(_ paths: String..., file: String? = nil) throws(RepositoryError) -> FileSelection {
        try FileSelection(listing(paths), fileName: file)
    }

    private static let usual = [
        ".gitattributes", "README.md", "config.json", "generation_config.json", "merges.txt", "model.safetensors",
        "pytorch_model.bin", "onnx/model.onnx", "runs/events", "special_tokens_map.json", "tokenizer.json",
        "tokenizer_config.json", "training_args.bin", "vocab.json", "sub/model.safetensors", "chat_template.jinja",
        "consolidated.safetensors",
    ]

    @Test func takesWhatAModelNeedsAndNothingElse() throws {
        let selection = try FileSelection(listing(Self.usual))
        #expect(selection.weights == .single(file("model.safetensors")))
        #expect(
            selection.companions.map(\.path) == [
                "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                "special_tokens_map.json", "vocab.json", "merges.txt", "chat_template.jinja",
            ])
    }

    @Test func takesShardsWhereThereIsNoSingleFile() throws {
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        let listing = listing(["config.json", "model.safetensors.index.json", "x.gguf"] + shards)
        let selection = try FileSelection(listing)
        #expect(selection.weights == .index(file("model.safetensors.index.json")))
        let index =
            "{\"weight_map\": {\"a\": \"\(shards[1])\", \"b\": \"\(shards[0])\", \"c\": \"\(shards[1])\"}}"
        #expect(try FileSelection.shards(Array(index.utf8), in: listing).map(\.path) == shards)
        // As when the checkpoint is opened: the single file goes before the index.
        #expect(
            try select("config.json", "model.safetensors.index.json", "model.safetensors").weights
                == .single(file("model.safetensors")))
    }

    @Test(arguments: [
        "", "{}", "{\"weight_map\": {}}", "{\"weight_map\": []}", "{\"weight_map\": {\"a\": 7}}",
        "{\"weight_map\": {\"a\": \"missing.safetensors\"}}", "{\"weight_map\": {\"a\": \"../x.safetensors\"}}",
        "{\"weight_map\": {\"a\": \"sub/x.safetensors\"}}", "{\"weight_map\": {\"a\": \"pytorch_model.bin\"}}",
        "{\"weight_map\": {\"a\": \"/x.safetensors\"}}", "{\"weight_map\": {\"a\": \"x\\u0000.safetensors\"}}",
    ])
    func refusesIndex(text: String) {
        let listing = listing(["config.json", "pytorch_model.bin", "sub/x.safetensors"])
        #expect(throws: RepositoryError.self) { try FileSelection.shards(Array(text.utf8), in: listing) }
    }

    @Test func takesTheOnlyGGUFAlone() throws {
        let selection = try select("config.json", "README.md", "tiny.Q4_K_M.gguf", "tokenizer.json")
        #expect(selection.weights == .gguf(file("tiny.Q4_K_M.gguf")) && selection.companions == [])
    }

    @Test func asksWhichGGUF() throws {
        #expect(throws: RepositoryError.chooseFile(known: ["a.Q4_0.gguf", "a.Q8_0.gguf", "f16/a.f16.gguf"])) {
            try select("f16/a.f16.gguf", "a.Q8_0.gguf", "a.Q4_0.gguf")
        }
        let named = [("a.Q8_0.gguf", "a.Q8_0.gguf"), ("q8_0", "a.Q8_0.gguf"), ("a.f16.gguf", "f16/a.f16.gguf")]
        for (name, path) in named {
            let selection = try select("f16/a.f16.gguf", "a.Q8_0.gguf", "a.Q4_0.gguf", file: name)
            #expect(selection.weights == .gguf(file(path)))
        }
        #expect(
            throws: RepositoryError.unknownFile(
                "a.Q5_0.gguf", nearest: "a.Q4_0.gguf", known: ["a.Q4_0.gguf", "a.Q8_0.gguf"])
        ) { try select("a.Q8_0.gguf", "a.Q4_0.gguf", file: "a.Q5_0.gguf") }
        // "a." is in both.
        #expect(throws: RepositoryError.self) { try select("a.Q8_0.gguf", "a.Q4_0.gguf", file: "a.") }
        #expect(throws: RepositoryError.self) { try select("a.Q8_0.gguf", "a.Q4_0.gguf", file: "") }
    }

    @Test func letsAFileBeChosenBesideSafetensors() throws {
        let paths = ["config.json", "model.safetensors", "a.gguf"]
        #expect(try FileSelection(listing(paths)).weights == .single(file("model.safetensors")))
        #expect(try FileSelection(listing(paths), fileName: "a.gguf").weights == .gguf(file("a.gguf")))
        let single = try FileSelection(listing(paths + ["model.safetensors.index.json"]), fileName: "model.safetensors")
        #expect(single.weights == .single(file("model.safetensors")))
        #expect(throws: RepositoryError.self) { try FileSelection(listing(["a.gguf"]), fileName: "model.safetensors") }
    }

    @Test func refusesPartsOfGGUF() throws {
        let parts = ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"]
        for name in [nil, parts[0]] {
            let error = #expect(throws: RepositoryError.self) { try FileSelection(listing(parts), fileName: name) }
            #expect(error?.sentence(about: "a/b").contains("one of several parts") == true)
        }
        #expect(try FileSelection(listing(parts + ["a.Q4_0.gguf"])).weights == .gguf(file("a.Q4_0.gguf")))
        #expect(FileSelection.partCount(of: "a-00001-of-00001.gguf") == nil)
        #expect(FileSelection.partCount(of: "a-1-of-2.gguf") == nil)
    }

    @Test func neverTakesPickles() throws {
        for names in [["pytorch_model.bin"], ["pytorch_model-00001-of-00002.bin"], ["a/consolidated.00.pth"], ["m.pt"]]
        {
            let error = #expect(throws: RepositoryError.self) { try FileSelection(listing(["config.json"] + names)) }
            #expect(error?.sentence(about: "a/b").contains("can run code when they are loaded") == true)
            #expect(throws: RepositoryError.self) { try FileSelection(listing(names), fileName: names[0]) }
        }
    }

    @Test func saysWhyThereIsNothingToRun() throws {
        let expected = [
            ([], "it is empty"), (["README.md"], "neither safetensors nor GGUF"),
            (["adapter_config.json", "adapter_model.safetensors"], "an adapter only"),
            (["config.json", "consolidated.safetensors"], "'consolidated.safetensors'"),
            (["model.safetensors"], "no config.json"),
        ]
        for (paths, part) in expected {
            let error = #expect(throws: RepositoryError.self) { try FileSelection(listing(paths)) }
            #expect(error?.sentence(about: "a/b").contains(part) == true, "\(error as Any)")
        }
    }
}
