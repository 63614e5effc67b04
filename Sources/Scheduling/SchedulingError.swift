/// A request that the scheduler's resources cannot meet. Nothing was changed when it is thrown.
public enum SchedulingError: Error, Equatable, CustomStringConvertible {
    /// The block pool has fewer free blocks than a sequence needs.
    case outOfBlocks(needed: Int, free: Int)

    public var description: String {
        switch self {
        case .outOfBlocks(let needed, let free):
            "cannot reserve KV cache: \(needed) more block\(needed == 1 ? " is" : "s are") needed, \(free) free"
        }
    }
}
