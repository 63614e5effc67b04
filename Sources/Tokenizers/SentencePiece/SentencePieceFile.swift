/// What a `tokenizer.model` of SentencePiece holds, as far as it changes ids and texts.
/// Source: sentencepiece, sentencepiece_model.proto.
struct SentencePieceFile: Sendable {
    enum Kind: Int, Sendable { case unigram = 1, bytePairs, words, characters }

    enum PieceType: Int, Sendable { case normal = 1, unknown, control, userDefined, unused, byte }

    struct Piece: Sendable {
        var text = ""
        var score: Float = 0
        var type = PieceType.normal
    }

    /// Larger files are refused; Gemma's has four megabytes.
    static let maximumByteCount = 1 << 28

    var kind = Kind.unigram
    var pieces: [Piece] = []
    var fallsBackToBytes = false
    /// What the unknown piece becomes in a text.
    var unknownSurface = " \u{2047} "
    /// The texts of the pieces for the beginning and the end of a text and for filling up.
    var beginningPiece = "<s>"
    var endPiece = "</s>"
    var paddingPiece = "<pad>"
    /// A space is put before a text.
    var addsDummyPrefix = true
    /// White space at the ends goes, and of several spaces one stays.
    var removesExtraWhitespace = true
    /// Spaces become U+2581.
    var escapesWhitespace = true
    /// ``CharacterMap``; empty for none.
    var characterMap: [UInt8] = []

    init() {}

    /// - Throws: `TokenizerError` if the bytes are no such file, or ask for what is not supported.
    init(_ bytes: [UInt8]) throws(TokenizerError) {
        guard bytes.count <= SentencePieceFile.maximumByteCount else {
            throw TokenizerError(
                "tokenizer.model has \(bytes.count) bytes, expected at most \(SentencePieceFile.maximumByteCount)")
        }
        var reader = ProtobufReader(bytes[...], name: "tokenizer.model")
        while let (number, value) = try reader.next() {
            guard case .bytes(let message) = value else { continue }
            switch number {
            case 1:
                guard pieces.count < Vocabulary.maximumCount else {
                    throw TokenizerError("tokenizer.model has more than \(Vocabulary.maximumCount) pieces")
                }
                pieces.append(try SentencePieceFile.piece(message, id: pieces.count))
            case 2: try readTrainer(message)
            case 3: try readNormalizer(message)
            case 5: try SentencePieceFile.checkDenormalizer(message)
            default: break
            }
        }
        guard !pieces.isEmpty else { throw TokenizerError("tokenizer.model has no pieces") }
    }

    private static func text(_ bytes: ArraySlice<UInt8>, _ name: String) throws(TokenizerError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw TokenizerError("\(name) is not UTF-8")
        }
        return text
    }

    private static func piece(_ message: ArraySlice<UInt8>, id: Int) throws(TokenizerError) -> Piece {
        var piece = Piece()
        var reader = ProtobufReader(message, name: "tokenizer.model: piece \(id)")
        while let (number, value) = try reader.next() {
            switch (number, value) {
            case (1, .bytes(let bytes)): piece.text = try text(bytes, "tokenizer.model: the text of piece \(id)")
            case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
            case (3, .integer(let type)):
                guard let type = Int(exactly: type).flatMap(PieceType.init) else {
                    throw TokenizerError("tokenizer.model: piece \(id) has the type \(type), expected 1 to 6")
                }
                piece.type = type
            default: break
            }
        }
        guard piece.score.isFinite else {
            throw TokenizerError("tokenizer.model: piece \(id) has the score \(piece.score), expected a finite one")
        }
        return piece
    }

    private mutating func readTrainer(_ message: ArraySlice<UInt8>) throws(TokenizerError) {
        let name = "tokenizer.model: trainer_spec"
        var reader = ProtobufReader(message, name: name)
        while let (number, value) = try reader.next() {
            switch (number, value) {
            case (3, .integer(let type)):
                guard let kind = Int(exactly: type).flatMap(Kind.init), kind == .unigram || kind == .bytePairs else {
                    throw TokenizerError("\(name).model_type is \(type), expected 1 (unigram) or 2 (BPE)")
                }
                self.kind = kind
            case (24, .integer(let flag)) where flag != 0:
                throw TokenizerError("\(name).treat_whitespace_as_suffix is true, which is not supported")
            case (35, .integer(let flag)): fallsBackToBytes = flag != 0
            case (44, .bytes(let bytes)):
                unknownSurface = try SentencePieceFile.text(bytes, "\(name).unk_surface")
            case (46, .bytes(let bytes)): beginningPiece = try SentencePieceFile.text(bytes, "\(name).bos_piece")
            case (47, .bytes(let bytes)): endPiece = try SentencePieceFile.text(bytes, "\(name).eos_piece")
            case (48, .bytes(let bytes)): paddingPiece = try SentencePieceFile.text(bytes, "\(name).pad_piece")
            default: break
            }
        }
    }

    private mutating func readNormalizer(_ message: ArraySlice<UInt8>) throws(TokenizerError) {
        var reader = ProtobufReader(message, name: "tokenizer.model: normalizer_spec")
        while let (number, value) = try reader.next() {
            switch (number, value) {
            case (2, .bytes(let bytes)): characterMap = Array(bytes)
            case (3, .integer(let flag)): addsDummyPrefix = flag != 0
            case (4, .integer(let flag)): removesExtraWhitespace = flag != 0
            case (5, .integer(let flag)): escapesWhitespace = flag != 0
            default: break
            }
        }
    }

    private static func checkDenormalizer(_ message: ArraySlice<UInt8>) throws(TokenizerError) {
        let name = "tokenizer.model: denormalizer_spec"
        var reader = ProtobufReader(message, name: name)
        while let (number, value) = try reader.next() {
            if number == 2, case .bytes(let bytes) = value, !bytes.isEmpty {
                throw TokenizerError("\(name) has a character map, which is not supported")
            }
        }
    }
}
