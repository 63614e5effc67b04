import CKernels
import Tensors

/// How a quantised matrix wants its activations: the integers' width and how many columns share a scale.
public struct ActivationForm: Sendable, Hashable, CustomStringConvertible {
    public enum Width: String, Sendable {
        /// -127...127
        case i8
        /// -2047...2047: a group of 32 products with 16-bit weights stays within 32 bits.
        case i16
    }

    public let width: Width
    public let groupColumns: Int

    public var description: String { "\(width.rawValue) in groups of \(groupColumns)" }

    var kernelCoding: flash_coding { width == .i16 ? FLASH_I16 : FLASH_I8 }
    var byteCount: Int { width == .i16 ? 2 : 1 }
}

/// The quantised form of one product input at a time, in memory that is allocated once.
///
///     values  [tokens, stride]   Int8 or Int16; zeros behind a row's columns up to a whole number of groups
///     scales  [tokens, groups]   Float
///     sums    [tokens, groups]   Int32: the sum of a group's integers
///
/// ``begin(columns:tokens:)`` says what comes, ``quantize(token:_:kernels:)`` overwrites one token's rows.
public final class QuantizedActivations: @unchecked Sendable {
    public let form: ActivationForm
    /// Columns and tokens of what is held.
    public private(set) var columns = 0
    public private(set) var tokens = 0

    private let maximumColumns: Int
    private let maximumTokens: Int
    private let values: AlignedBuffer<UInt8>
    private let scales: AlignedBuffer<Float>
    private let sums: AlignedBuffer<Int32>

    public init(form: ActivationForm, maximumColumns: Int, maximumTokens: Int) {
        precondition(maximumColumns >= 1 && maximumTokens >= 1)
        self.form = form
        self.maximumColumns = maximumColumns
        self.maximumTokens = maximumTokens
        let groups = (maximumColumns + form.groupColumns - 1) / form.groupColumns
        values = AlignedBuffer(uninitializedCount: maximumTokens * groups * form.groupColumns * form.byteCount)
        scales = AlignedBuffer(uninitializedCount: maximumTokens * groups)
        sums = AlignedBuffer(uninitializedCount: maximumTokens * groups)
    }

    private var groups: Int { (columns + form.groupColumns - 1) / form.groupColumns }
    private var stride: Int { groups * form.groupColumns }

    /// Makes room for another input; what was held is gone.
    public func begin(columns: Int, tokens: Int) {
        precondition(
            columns >= 1 && columns <= maximumColumns && tokens >= 0 && tokens <= maximumTokens,
            "\(tokens) x \(columns) activations in a buffer for \(maximumTokens) x \(maximumColumns)")
        self.columns = columns
        self.tokens = tokens
    }

    /// Quantises the ``columns`` activations of one token. Different tokens may come from different threads.
    ///
    /// A group with a NaN or an infinity makes every output of the product NaN.
    public func quantize(token: Int, _ input: UnsafePointer<Float>, kernels: Kernels) {
        precondition(token >= 0 && token < tokens, "token \(token) of \(tokens)")
        kernels.table.quantize(
            input, Int64(columns), form.kernelCoding, Int64(form.groupColumns),
            values.pointer + token * stride * form.byteCount, scales.pointer + token * groups,
            sums.pointer + token * groups)
    }

    /// What is held, as kernels see it; valid while this is and until the next ``begin(columns:tokens:)``.
    public var view: QuantizedInput {
        QuantizedInput(
            form: form, columns: columns, tokens: tokens,
            kernelInput: flash_quantized_input(
                values: values.pointer, stride: Int64(stride), scales: scales.pointer, sums: sums.pointer,
                group_columns: Int64(form.groupColumns), groups: Int64(groups)))
    }
}

/// Quantised activations as kernels see them: a shape and addresses. Owns nothing, as ``MatrixView`` does.
public struct QuantizedInput: @unchecked Sendable {
    public let form: ActivationForm
    let columns: Int
    let tokens: Int
    let kernelInput: flash_quantized_input
}

extension QuantizedMatrix {
    /// Activations share a scale among at most so many columns where weights are i8 or i4.
    ///
    /// SmolLM2-135M with 20 % zeros has a perplexity of 26.10 with f16 weights; with i8 weights in groups of 128 and
    /// activations in groups of 32, 64 and 128: 26.04, 26.06 and 26.24; with one scale a row: 26.10, 26.19 and 26.38;
    /// with i4 in groups of 128: 31.60, 31.59 and 31.85. On AVX2 groups of 64 are as fast as those of 128, groups of
    /// 32 about 10 % slower for several tokens.
    static let activationGroupLimit = 64

    /// The form in which a product takes its activations.
    public var activationForm: ActivationForm {
        switch coding {
        case .i16: ActivationForm(width: .i16, groupColumns: Int(FLASH_GROUP_COLUMNS))
        case .i8, .i4:
            ActivationForm(
                width: .i8,
                groupColumns: group == .row
                    ? Self.activationGroupLimit
                    : min(shape.groupColumns, Self.activationGroupLimit))
        }
    }
}
