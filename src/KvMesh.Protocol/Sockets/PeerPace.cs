namespace KvMesh.Protocol.Sockets;

/// <summary>
/// How long a peer has let us wait in the middle of a command, less what the bytes it moved are worth at the slowest pace that is
/// tolerated. A limit on single waits alone is none: a byte now and then keeps a thread and an extent for ever. What a peer was
/// faster is no credit for later. One direction of one connection.
/// </summary>
internal struct PeerPace
{
    /// <summary>What the peer owes; from the stall limit on it is taken for stalled.</summary>
    public TimeSpan Owed { get; private set; }

    public void Reset() => Owed = TimeSpan.Zero;

    /// <summary>Notes a wait and the bytes that it ended with, or 0. False: the peer has stalled.</summary>
    public bool Note(TimeSpan waited, long bytes, StreamSocketOptions options)
    {
        var worth = options.MinBytesPerSecond > 0 ? TimeSpan.FromSeconds((double)bytes / options.MinBytesPerSecond)
            : bytes > 0 ? Owed + waited
            : TimeSpan.Zero;
        var owed = Owed + waited - worth;
        Owed = owed > TimeSpan.Zero ? owed : TimeSpan.Zero;
        return Owed < options.StallLimit;
    }
}
