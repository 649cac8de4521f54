using KvMesh.Cluster.Removals;

namespace KvMesh.Remote.Peers;

/// <summary>A node that is said to hold a block.</summary>
/// <param name="Holder">Its number in the map, for telling the map when it was wrong.</param>
internal readonly record struct PeerCandidate(ushort Holder, Peer Peer);

/// <summary>One node that one read takes bytes from: what it was asked for, and how far the answer has come. One thread.</summary>
internal sealed class PeerSource(PeerCandidate candidate, PeerConnection connection, PullGuard guard, bool losslessOnly)
{
    private readonly Queue<ByteRange> _asked = new();

    public PeerCandidate Candidate => candidate;

    public Peer Peer => candidate.Peer;

    public PeerConnection Connection => connection;

    /// <summary>Requests without an answer so far.</summary>
    public int Asked => _asked.Count;

    public bool IsBusy => _asked.Count > 0 || IsReceiving;

    /// <summary>When it was asked for what comes next, by the clock's timestamp.</summary>
    public long Since { get; private set; }

    /// <summary>Whether it has said anything.</summary>
    public bool HasAnswered { get; private set; }

    /// <summary>Whether the answer in hand is not its first.</summary>
    public bool HasAnsweredBefore { get; private set; }

    /// <summary>Whether somebody else was asked because it is slow.</summary>
    public bool IsOvertaken { get; set; }

    /// <summary>Whether payload is coming.</summary>
    public bool IsReceiving { get; private set; }

    /// <summary>The part that is coming.</summary>
    public ByteRange Current { get; private set; }

    /// <summary>Bytes of the current part that are here.</summary>
    public int Received { get; set; }

    /// <summary>Of them, bytes in whole chunks that were found right.</summary>
    public int Accepted { get; set; }

    public void Ask(ReadOnlySpan<byte> key, ByteRange range, long now)
    {
        if (!IsBusy)
        {
            Since = now;
        }

        _asked.Enqueue(range);
        connection.AskRange(key, range.Start, range.Bytes, guard, losslessOnly);
    }

    /// <summary>The answer to the oldest request is here.</summary>
    public ByteRange Answer()
    {
        HasAnsweredBefore = HasAnswered;
        HasAnswered = true;
        return _asked.Dequeue();
    }

    public void Begin(ByteRange range)
    {
        Current = range;
        Received = Accepted = 0;
        IsReceiving = range.Bytes > 0;
    }

    /// <summary>The current part is whole. What was asked for next begins to count now.</summary>
    public void Finish(long now)
    {
        IsReceiving = false;
        IsOvertaken = false;
        Since = now;
    }

    /// <summary>What it was asked for and has not brought.</summary>
    public IEnumerable<ByteRange> Unfinished()
    {
        if (IsReceiving)
        {
            yield return new ByteRange(Current.Start + Accepted, Current.Bytes - Accepted);
        }

        foreach (var range in _asked)
        {
            yield return range;
        }
    }
}
