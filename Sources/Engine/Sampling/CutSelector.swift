/// Finds where to cut: the shortest run of most probable tokens that has a given mass, where a token's mass is 1 (top-k)
/// or its probability (top-p).
///
/// This is a radix selection on the logits' 32-bit keys. The first pass adds each token's mass to the bin of its key's
/// leading 11 bits; walking down the bins finds the one where the wanted mass is reached. Further passes look only at
/// tokens in that bin and split it by the next 11 and the last 10 bits. Equal logits that are left share the cut and
/// are counted off by token number. So the vocabulary is never sorted and no list of candidates is kept: the time is
/// linear and the memory 16 KiB, whatever the logits are. Blocks whose maximum lies behind the bin are skipped.
struct CutSelector: Sendable {
    enum Target {
        /// This many tokens.
        case count(Int)
        /// This share of the probability of all tokens before the cut there was.
        case share(Double)
    }

    private static let digits: [(shift: UInt32, bitCount: UInt32)] = [(21, 11), (10, 11), (0, 10)]

    /// Mass of the tokens in each bin; overwritten by each pass.
    private var bins = [Double](repeating: 0, count: 1 << 11)

    /// The cut that leaves the target's mass of what `cut` keeps, or all of it that has a positive weight if that is less.
    /// - Precondition: the target is positive; `weights` was made from valid logits.
    /// - Complexity: O(vocabulary).
    mutating func narrow(_ cut: Cut, to target: Target, of weights: Weights) -> Cut {
        var (prefix, mask, massAbove) = (UInt32(0), UInt32(0), 0.0)
        var wanted = 0.0
        for (shift, bitCount) in Self.digits {
            fillBins(
                of: weights, within: cut, target: target, prefix: prefix, mask: mask, shift: shift, bitCount: bitCount)
            if mask == 0 {
                switch target {
                case .count(let count): wanted = Double(count)
                case .share(let share): wanted = share * bins.reduce(0, +)
                }
            }
            let bin = crossing(wanted, massAbove: &massAbove)
            prefix |= UInt32(bin) << shift
            mask |= ((1 << bitCount) - 1) << shift
        }
        return countTies(key: prefix, of: weights, within: cut, target: target, wanted: wanted, massAbove: massAbove)
    }

    /// Adds up the masses of the tokens whose keys begin with `prefix`, by the `bitCount` bits above `shift`.
    private mutating func fillBins(
        of weights: Weights, within cut: Cut, target: Target, prefix: UInt32, mask: UInt32, shift: UInt32,
        bitCount: UInt32
    ) {
        let digitMask: UInt32 = (1 << bitCount) - 1
        bins.withUnsafeMutableBufferPointer { bins in
            bins.update(repeating: 0)
            weights.forEachLanes(notBelow: max(cut.key, prefix)) { index, logits in
                let keys = Cut.keys(of: logits)
                let isInside = ((keys & mask) .== prefix) .& cut.keeps(keys, at: index)
                guard any(isInside) else { return }
                let masses = Self.masses(of: logits, isInside, weights, target)
                let digits = (keys &>> shift) & digitMask
                for lane in 0..<Logits.laneCount { bins[Int(digits[lane])] += Double(masses[lane]) }
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

    /// The cut among the tokens with exactly this key: as many, by rising number, as are needed for the wanted mass.
    private func countTies(
        key: UInt32, of weights: Weights, within cut: Cut, target: Target, wanted: Double, massAbove: Double
    ) -> Cut {
        var mass = massAbove
        var lastTie: UInt32?
        weights.forEachLanes(notBelow: key) { index, logits in
            let keys = Cut.keys(of: logits)
            let isInside = (keys .== key) .& cut.keeps(keys, at: index)
            guard mass < wanted, any(isInside) else { return }
            let masses = Self.masses(of: logits, isInside, weights, target)
            for lane in 0..<Logits.laneCount where mass < wanted && masses[lane] > 0 {
                mass += Double(masses[lane])
                lastTie = UInt32(index + lane)
            }
        }
        guard let lastTie else { preconditionFailure("no token has the key of the cut") }
        return Cut(key: key, lastTie: lastTie)
    }

    @inline(__always)
    private static func masses(
        of logits: Lanes, _ isInside: SIMDMask<SIMD8<Int32>>, _ weights: Weights, _ target: Target
    ) -> Lanes {
        let masses: Lanes =
            switch target {
            case .count: Lanes(repeating: 1)
            case .share: weights.weights(of: logits)
            }
        return Lanes.zero.replacing(with: masses, where: isInside)
    }
}
