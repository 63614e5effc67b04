#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Finds where to cut: the shortest run of most probable tokens that has a given mass, where a token's mass is 1
/// (top-k) or its probability (top-p).
///
/// This is a radix selection on the logits' 32-bit keys. The first pass adds each token's mass to the bin of its key's
/// leading 11 bits; walking down the bins finds the one where the wanted mass is reached. Further passes look only at
/// tokens in that bin and split it by the next 11 and the last 10 bits. Equal logits that are left share the cut and
/// are counted off by token number. So the vocabulary is never sorted and no list of candidates is kept: the time is
/// linear and the memory 16 KiB, whatever the logits are.
///
/// A floor, known beforehand, under which the cut cannot be, makes it fast: whole blocks and most of the rest lie below
/// it, and finding that out takes one vector comparison for eight tokens.
struct CutSelector: Sendable {
    enum Target {
        /// This many tokens.
        case count(Int)
        /// This share of the probability of all tokens before the cut there was.
        case share(Double)
    }

    /// Tokens that a pass looks at, and the bits of their keys by which it tells them apart.
    private struct Pass {
        let cut: Cut
        let floor: UInt32
        let target: Target
        /// The bits in `mask` are those of the cut's key, known from the passes before.
        var prefix: UInt32 = 0
        var mask: UInt32 = 0
        var shift: UInt32 = 0
        var digitMask: UInt32 = 0
    }

    private static let digits: [(shift: UInt32, bitCount: UInt32)] = [(21, 11), (10, 11), (0, 10)]

    /// Mass of the tokens in each bin; overwritten by each pass.
    private var bins = [Double](repeating: 0, count: 1 << 11)

    /// The cut that leaves the target's mass of what `cut` keeps; if that has less, all of it whose weight is not 0.
    /// - Precondition: the target is positive; `weights` was made from valid logits.
    /// - Complexity: O(vocabulary).
    mutating func narrow(_ cut: Cut, to target: Target, of weights: Weights) -> Cut {
        let (wanted, floor) =
            switch target {
            case .count(let count): (Double(count), Self.floor(count: count, weights))
            case .share(let share): (share * Self.mass(of: weights, within: cut), Self.floor(share: share, weights))
            }
        var pass = Pass(cut: cut, floor: floor, target: target)
        var massAbove = 0.0
        for (shift, bitCount) in Self.digits {
            pass.shift = shift
            pass.digitMask = (1 << bitCount) - 1
            fillBins(pass, weights)
            pass.prefix |= UInt32(crossing(wanted, massAbove: &massAbove)) << shift
            pass.mask |= pass.digitMask << shift
        }
        return Self.countTies(pass, weights, wanted: wanted, massAbove: massAbove)
    }

    /// Adds up the masses of a pass's tokens in the bins of their digits.
    private mutating func fillBins(_ pass: Pass, _ weights: Weights) {
        bins.withUnsafeMutableBufferPointer { bins in
            bins.update(repeating: 0)
            Self.forEachMasses(pass, weights) { _, keys, masses in
                let digits = (keys &>> pass.shift) & pass.digitMask
                for lane in 0..<Logits.laneCount { bins[Int(digits[lane])] += Double(masses[lane]) }
                return true
            }
        }
    }

    /// The bin in which the mass from the top down reaches `wanted`; `massAbove` grows by the bins above it.
    private func crossing(_ wanted: Double, massAbove: inout Double) -> Int {
        var lastFilled = 0
        var massAboveLast = massAbove
        for bin in bins.indices.reversed() where bins[bin] > 0 {
            (lastFilled, massAboveLast) = (bin, massAbove)
            if massAbove + bins[bin] >= wanted { return bin }
            massAbove += bins[bin]
        }
        // The parts of a bin can add up to a hair less than the bin: then the last token is the one that is wanted.
        massAbove = massAboveLast
        return lastFilled
    }

    /// The cut among the tokens with the key that the passes found: as many, by rising number, as are needed for the
    /// wanted mass.
    private static func countTies(_ pass: Pass, _ weights: Weights, wanted: Double, massAbove: Double) -> Cut {
        var mass = massAbove
        var lastTie: UInt32?
        forEachMasses(pass, weights) { index, _, masses in
            for lane in 0..<Logits.laneCount where mass < wanted && masses[lane] > 0 {
                mass += Double(masses[lane])
                lastTie = UInt32(index + lane)
            }
            return mass < wanted
        }
        guard let lastTie else { preconditionFailure("no token has the key of the cut") }
        return Cut(key: pass.prefix, lastTie: lastTie)
    }

    /// Calls `body` with the keys and masses of eight tokens each, and the first one's number, until it returns false.
    /// Tokens that the pass does not look at have mass 0; eight of those are left out.
    @inline(__always)
    private static func forEachMasses(_ pass: Pass, _ weights: Weights, _ body: (Int, SIMD8<UInt32>, Lanes) -> Bool) {
        let (floor, prefix) = (SIMD8(repeating: pass.floor), SIMD8(repeating: pass.prefix))
        var goesOn = true
        weights.forEachLanes(notBelow: max(pass.cut.key, pass.floor, pass.prefix)) { index, logits in
            let keys = Cut.keys(of: logits)
            let isInside = (keys .>= floor) .& ((keys & pass.mask) .== prefix) .& pass.cut.keeps(keys, at: index)
            guard goesOn, any(isInside) else { return }
            let masses: Lanes =
                switch pass.target {
                case .count: Lanes(repeating: 1)
                case .share: weights.weights(of: logits)
                }
            goesOn = body(index, keys, Lanes.zero.replacing(with: masses, where: isInside))
        }
    }
}

extension CutSelector {
    /// The weight of everything that `cut` keeps.
    private static func mass(of weights: Weights, within cut: Cut) -> Double {
        var sums = SIMD8<Double>.zero
        weights.forEachLanes(notBelow: cut.key) { index, logits in
            let isKept = cut.keeps(Cut.keys(of: logits), at: index)
            sums += SIMD8<Double>(Lanes.zero.replacing(with: weights.weights(of: logits), where: isKept))
        }
        return sums.sum()
    }

    /// A key that at least `count` tokens reach: the `count`-th largest block maximum, found bit by bit from the top.
    private static func floor(count: Int, _ weights: Weights) -> UInt32 {
        guard count <= weights.blockMaxima.count else { return 0 }
        var floor: UInt32 = 0
        for bit in (0..<UInt32.bitWidth).reversed() {
            let higher = floor | 1 << bit
            var reached = 0
            for maximum in weights.blockMaxima where Cut.key(of: maximum) >= higher { reached += 1 }
            if reached >= count { floor = higher }
        }
        return floor
    }

    /// A key below which no token belongs to the most probable `share`. All tokens of less than `(1 - share) /
    /// vocabulary` the weight of the most probable one have less than `1 - share` of that weight together, so the
    /// others have more than the share. Half of that keeps clear of roundings.
    private static func floor(share: Double, _ weights: Weights) -> UInt32 {
        let least = (1 - share) / Double(weights.logits.count) / 2
        return Cut.key(of: weights.maximum + weights.temperature * Float(log(least)))
    }
}
