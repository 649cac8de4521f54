namespace KvMesh.Protocol.Native;

/// <summary>
/// Outcome of a request. Sent on the wire: append only. Below 64 it is an answer with the head of its verb; from 64 on it is a
/// refusal, and the head is UTF-8 text that names field, value and limit.
/// </summary>
public enum NativeStatus : byte
{
    Ok = 0,

    /// <summary>The block is not here.</summary>
    Miss = 1,

    /// <summary>The block is longer than the client asked for; no bytes follow.</summary>
    TooSmall = 2,

    /// <summary>The content was here already.</summary>
    AlreadyPresent = 3,

    /// <summary>There is no room now.</summary>
    Full = 4,

    /// <summary>The payload is longer than the node accepts.</summary>
    TooLarge = 5,

    /// <summary>The received bytes do not match their checksums; nothing was stored.</summary>
    Mismatch = 6,

    /// <summary>The budget for residence leases is spent: read over the socket.</summary>
    LeaseRefused = 7,

    /// <summary>The bytes of an offered block are wanted.</summary>
    Wanted = 8,

    /// <summary>The node has not carried out the removals yet that the asking node knows of; it may have the block, and gives it to nobody now.</summary>
    Behind = 9,

    /// <summary>The block follows as it lies encoded.</summary>
    Encoded = 10,

    /// <summary>
    /// To another node: what is here has lost something. Its bytes follow as with <see cref="Ok"/>, unless an exact copy was asked for.
    /// </summary>
    Lossy = 11,

    /// <summary>No further section was published within the wait; the block is still being written.</summary>
    NotYet = 12,

    /// <summary>The block is in other sections, or of other bytes, than those that the reader has.</summary>
    Diverged = 13,

    /// <summary>A command for a sequence changed nothing; the head names the reason.</summary>
    SequenceRefused = 16,

    UnsupportedVersion = 64,
    UnknownVerb = 65,
    BadRequest = 66,
    AccessDenied = 67,
    HelloRequired = 68,
    LimitExceeded = 69,

    /// <summary>The verb exists but not on this connection or for this tenant.</summary>
    NotSupported = 70,

    /// <summary>The node is stopping or out of a resource; another try may succeed.</summary>
    Unavailable = 71,
}

/// <summary>Reading of <see cref="NativeStatus"/>.</summary>
public static class NativeStatusExtensions
{
    /// <summary>Whether the head of the answer is a text that says what was wrong.</summary>
    public static bool IsRefusal(this NativeStatus status) => status >= NativeStatus.UnsupportedVersion;
}
