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
}
