namespace KvMesh.Protocol.Native;

/// <summary>What a frame of the native protocol asks or answers. Sent on the wire: append only.</summary>
public enum Verb : byte
{
    Hello = 1,
    Ping = 2,
    Match = 3,
    Get = 4,
    Offer = 5,
    Put = 6,
    Exists = 7,
    Lease = 8,
    Release = 9,
    Remove = 10,
    Stats = 11,
    Watch = 12,

    /// <summary>Hands over a read-only descriptor of the tenant's arena. Unix socket only.</summary>
    Attach = 13,

    /// <summary>Hands over a file through which the client writes. Unix socket only.</summary>
    Staging = 14,

    /// <summary>Stores a block whose bytes are in the staging file.</summary>
    Commit = 15,

    /// <summary>Tells the node that bytes of a block did not match their checksums.</summary>
    Report = 16,

    /// <summary>Asks a directory node which nodes hold blocks. Peers only.</summary>
    Locate = 17,

    /// <summary>Lists the blocks of a node, page by page, for its directories. Peers only.</summary>
    Inventory = 18,

    /// <summary>Asks a node how it is and what its clients want. Of the scheduler, as the verbs up to 26; peers only.</summary>
    NodeReport = 19,

    /// <summary>Orders a node to bring blocks to itself.</summary>
    OrderGive = 20,

    /// <summary>Takes an order back.</summary>
    OrderCancel = 21,

    /// <summary>Asks how far orders are.</summary>
    OrderProgress = 22,

    /// <summary>Asks for the keys of the blocks before one.</summary>
    Chain = 23,

    /// <summary>Has blocks read back, verified and kept.</summary>
    Hold = 24,

    /// <summary>Begins a drain, takes it back or asks about it.</summary>
    Drain = 25,

    /// <summary>Asks a draining node for blocks that nobody else holds.</summary>
    Leaving = 26,

    /// <summary>Passes an operator's wish to the node that plans. Peers only.</summary>
    Desk = 27,

    /// <summary>Begins a block that is published by section, and can be read while it is written.</summary>
    SectionBegin = 28,

    /// <summary>Publishes the next section of such a block; the last one seals it.</summary>
    SectionPublish = 29,

    /// <summary>Ends such a block before its last section.</summary>
    SectionAbandon = 30,

    /// <summary>Reads sections of a block that is here or being written, and waits for the next one.</summary>
    SectionFollow = 31,

    /// <summary>The verbs of sequences stand together: the control plane answers them.</summary>
    SequenceOpen = 32,
    SequenceAppend = 33,
    SequenceFork = 34,
    SequencePin = 35,
    SequencePark = 36,
    SequenceResume = 37,
    SequenceClose = 38,
    SequenceShow = 39,
    SequenceRows = 40,
    SequenceList = 41,

    /// <summary>A worker tells which blocks it holds in its own memory, and will hand over when the node asks.</summary>
    HolderAnnounce = 42,

    /// <summary>It holds them no longer.</summary>
    HolderWithdraw = 43,

    /// <summary>Waits for what the node asks of the worker.</summary>
    HolderAsks = 44,

    /// <summary>Answers that a block which was asked for is not there any more.</summary>
    HolderDecline = 45,
}

/// <summary>How a frame is to be taken. Sent on the wire: append only.</summary>
[Flags]
public enum FrameFlags : byte
{
    None = 0,

    /// <summary>The frame answers a request.</summary>
    Response = 1,

    /// <summary>Another frame of the same answer follows.</summary>
    More = 2,

    /// <summary>The sender wants no answer, not even a refusal.</summary>
    NoReply = 4,

    /// <summary>
    /// Of a get, match, exists or lease: copies that have lost something are misses to this one, as with <see cref="NativeCapabilities.LosslessReads"/> to each of
    /// a connection. Of an offer, put or commit: no copy of the block may lose anything, as with <see cref="NativeCapabilities.LosslessWrites"/>. A node from before
    /// this takes no notice.
    /// </summary>
    LosslessOnly = 8,
}

/// <summary>What a node or a client can do beyond the first version. Sent on the wire: append only.</summary>
[Flags]
public enum NativeCapabilities : uint
{
    None = 0,

    /// <summary>Reads in place and staged writes are possible on this connection.</summary>
    SharedMemory = 1,

    /// <summary>Block events can be watched.</summary>
    Watch = 2,

    /// <summary>Gets may be answered with blocks as they lie encoded.</summary>
    EncodedBlocks = 4,

    /// <summary>Of a client: a copy that has lost something is a miss to each get, lease, match and exists of the connection. Of a node: it knows this.</summary>
    LosslessReads = 8,

    /// <summary>Of a client: no copy of a block that the connection writes may lose anything, in any tier of any node. Of a node: it knows this.</summary>
    LosslessWrites = 16,
}
