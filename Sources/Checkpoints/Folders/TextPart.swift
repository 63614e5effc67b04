import OrderedCollections
import OrderedJSON

/// The language model in the folder of a model that also sees: its configuration and tensors as a folder of its own
/// would have them, and nothing of the rest.
enum TextPart {
    /// What the whole model's configuration says of pictures.
    private static let ofPictures: Set<String> = [
        "text_config", "vision_config", "mm_tokens_per_image", "boi_token_index", "eoi_token_index",
        "image_token_index", "architectures",
    ]
    /// By the whole model's type, the class that transformers opens the language model with.
    private static let architectures: [String: JSON] = ["gemma3": "Gemma3ForCausalLM"]

    /// What stands in `text_config`, over what the whole says; `whole` itself if it is a language model.
    static func configuration(of whole: JSON) -> JSON {
        guard let type = whole["model_type"]?.stringValue, let architecture = architectures[type],
            let text = whole["text_config"]?.objectValue
        else { return whole }
        var members = (whole.objectValue ?? [:]).filter { !ofPictures.contains($0.key) }
        members["architectures"] = [architecture]
        for (key, value) in text { members[key] = value }
        return .object(members)
    }

    /// The tensors of the language model under the names that they have by themselves; all if that is the whole model.
    /// - Throws: `CheckpointError` if two become one.
    static func tensors(
        of stored: OrderedDictionary<String, StoredTensor>, whole: JSON
    ) throws(CheckpointError) -> OrderedDictionary<String, StoredTensor> {
        guard let type = whole["model_type"]?.stringValue, architectures[type] != nil, whole["text_config"] != nil
        else { return stored }
        var tensors: OrderedDictionary<String, StoredTensor> = [:]
        for (name, tensor) in stored {
            guard let plain = plainName(name) else { continue }
            guard tensors.updateValue(tensor.named(plain), forKey: plain) == nil else {
                throw CheckpointError(
                    .damaged, path: tensor.description.path, subject: "tensor \(name.quoted)",
                    expected: "a name of its own", found: "another tensor that is \(plain.quoted)")
            }
        }
        return tensors
    }

    /// Older files say `language_model.model.layers`, newer ones `model.language_model.layers`.
    private static func plainName(_ name: String) -> String? {
        for (prefix, plain) in [("language_model.", ""), ("model.language_model.", "model."), ("lm_head.", "lm_head.")]
        where name.hasPrefix(prefix) { return plain + name.dropFirst(prefix.count) }
        return nil
    }
}
