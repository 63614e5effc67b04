// MARK: - Writing

extension SentencePieceFile {
    /// The file, as `sentencepiece` reads it.
    var bytes: [UInt8] {
        var file = ProtobufWriter()
        for piece in pieces {
            var message = ProtobufWriter()
            message.append(1, text: piece.text)
            message.append(2, float: piece.score)
            if piece.type != .normal { message.append(3, integer: piece.type.rawValue) }
            file.append(1, bytes: message.bytes)
        }
        var trainer = ProtobufWriter()
        trainer.append(3, integer: kind.rawValue)
        trainer.append(4, integer: pieces.count)
        trainer.append(35, integer: fallsBackToBytes ? 1 : 0)
        let roles = [(40, 45, SentencePieceFile.PieceType.unknown)]
        for (number, textNumber, type) in roles {
            guard let id = pieces.firstIndex(where: { $0.type == type }) else { continue }
            trainer.append(number, integer: id)
            trainer.append(textNumber, text: pieces[id].text)
        }
        for (number, textNumber, text) in [(41, 46, beginningPiece), (42, 47, endPiece), (43, 48, paddingPiece)] {
            let id = pieces.firstIndex { $0.text.utf8.elementsEqual(text.utf8) && $0.type == .control }
            trainer.append(number, integer: id ?? -1)
            trainer.append(textNumber, text: text)
        }
        trainer.append(44, text: unknownSurface)
        file.append(2, bytes: trainer.bytes)
        var normalizer = ProtobufWriter()
        normalizer.append(1, text: characterMap.isEmpty ? "identity" : "user_defined")
        normalizer.append(2, bytes: characterMap)
        normalizer.append(3, integer: addsDummyPrefix ? 1 : 0)
        normalizer.append(4, integer: removesExtraWhitespace ? 1 : 0)
        normalizer.append(5, integer: escapesWhitespace ? 1 : 0)
        file.append(3, bytes: normalizer.bytes)
        return file.bytes
    }
}

/// Writes the fields of one Protocol Buffers message.
private struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    private mutating func append(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func append(_ number: Int, integer: Int) {
        append(UInt64(number << 3))
        append(UInt64(bitPattern: Int64(integer)))
    }

    mutating func append(_ number: Int, float: Float) {
        append(UInt64(number << 3 | 5))
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: float.bitPattern >> shift))
        }
    }

    mutating func append(_ number: Int, bytes content: [UInt8]) {
        append(UInt64(number << 3 | 2))
        append(UInt64(content.count))
        bytes += content
    }

    mutating func append(_ number: Int, text: String) { append(number, bytes: Array(text.utf8)) }
}
