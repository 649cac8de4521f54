using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Engine.FarTiers.Holders;

/// <summary>
/// What one connected worker holds in its own memory, and what it is asked for. Whoever opened it disposes it when the connection ends: with it everything that was announced
/// goes, and whoever waits for the worker has a miss. Any thread. State is guarded by the lock of the tier.
/// </summary>
public sealed class Holding : IDisposable
{
    /// <summary>Removals that a worker which does not ask is told of one by one; then it is told to forget everything.</summary>
    private const int MaxNotices = 4096;

    /// <summary>So many asks in a row that nobody answered, and the worker is left alone for a while.</summary>
    private const int MaxUnanswered = 3;

    private static readonly TimeSpan SilentPause = TimeSpan.FromSeconds(10);

    private readonly HeldBlockTier _tier;
    private readonly Dictionary<KeyDigest, HeldBlock> _blocks = [];
    private readonly List<BlockAsk> _asks = [];
    private readonly Queue<HolderAsk> _notices = new();
    private readonly ManualResetEventSlim _work = new();
    private int _isWaiting;
    private int _unanswered;
    private long _silentSince;
    private bool _isClosed;

    internal Holding(HeldBlockTier tier, Tenant tenant, ulong number)
    {
        _tier = tier;
        Tenant = tenant;
        Number = number;
    }

    /// <summary>What a wait of another connection names. Drawn at random.</summary>
    public ulong Number { get; }

    public Tenant Tenant { get; }

    /// <summary>Blocks that are announced.</summary>
    public int Blocks
    {
        get
        {
            lock (_tier.Gate)
            {
                return _blocks.Count;
            }
        }
    }

    /// <summary>Most blocks that may be announced.</summary>
    public int MaxBlocks => _tier.Options.MaxBlocksPerHolder;

    internal bool IsClosed => _isClosed;

    internal IEnumerable<KeyDigest> Digests => _blocks.Keys;

    internal int Count => _blocks.Count;

    internal int OpenAsks => _asks.Count;

    internal IEnumerable<BlockAsk> Asks => _asks;

    /// <summary>Announces blocks; those that are announced already count once. All or none.</summary>
    /// <param name="keys">Keys of a chain.</param>
    /// <param name="lengths">Payload bytes of each.</param>
    /// <param name="model">Model of their scope.</param>
    /// <param name="revision">Its revision.</param>
    /// <param name="removals">Removals that the worker knows of, for blocks that were there by then; 0: they are new.</param>
    /// <param name="soFar">Removals so far.</param>
    public AnnounceStatus Announce(KeyRun keys, ReadOnlySpan<uint> lengths, string model, string revision, ulong removals, out ulong soFar) =>
        _tier.Announce(this, keys, lengths, new HeldScope(model, revision), removals, out soFar);

    /// <summary>Takes an announcement back. False: there was none.</summary>
    public bool Withdraw(ReadOnlySpan<byte> key) => _tier.Withdraw(this, key);

    /// <summary>
    /// Waits until the worker is asked for something or told something. Foreground comes first. False: somebody waits already.
    /// </summary>
    /// <param name="asks">What there is; nothing after the wait, or when the connection of the announcements has ended.</param>
    /// <param name="most">Entries at most.</param>
    /// <param name="wait">Longest wait.</param>
    /// <param name="stopping">Ends the wait.</param>
    /// <param name="removals">Removals of which the worker knows with these.</param>
    public bool TryWait(List<HolderAsk> asks, int most, TimeSpan wait, CancellationToken stopping, out ulong removals)
    {
        ArgumentNullException.ThrowIfNull(asks);
        removals = 0;
        if (Interlocked.Exchange(ref _isWaiting, 1) != 0)
        {
            return false;
        }

        try
        {
            using var cancelled = stopping.UnsafeRegister(static holding => ((Holding)holding!)._work.Set(), this);
            var startedAt = _tier.Time.GetTimestamp();
            while (true)
            {
                lock (_tier.Gate)
                {
                    removals = _tier.RemovalsOf_NeedsLock(Tenant);
                    Take_NeedsLock(asks, most);
                    if (asks.Count > 0 || _isClosed || stopping.IsCancellationRequested)
                    {
                        return true;
                    }

                    _work.Reset();
                }

                var rest = wait - _tier.Time.GetElapsedTime(startedAt);
                if (rest <= TimeSpan.Zero || stopping.IsCancellationRequested || !_work.Wait(rest, CancellationToken.None))
                {
                    return true;
                }
            }
        }
        finally
        {
            Volatile.Write(ref _isWaiting, 0);
        }
    }

    /// <summary>The connection ends.</summary>
    public void Dispose() => _tier.Close(this);

    internal bool TryFind_NeedsLock(KeyDigest digest, out HeldBlock block) => _blocks.TryGetValue(digest, out block);

    internal void Set_NeedsLock(KeyDigest digest, HeldBlock block) => _blocks[digest] = block;

    internal bool Remove_NeedsLock(KeyDigest digest, out HeldBlock block) => _blocks.Remove(digest, out block);

    internal List<KeyDigest> DigestsOf_NeedsLock(HolderScope scope) =>
        [.. _blocks.Where(block => scope.Names(block.Value.Scope.Model, block.Value.Scope.Revision)).Select(block => block.Key)];

    /// <summary>Whether it makes sense to ask: not after a row of asks without an answer, until it has had a pause.</summary>
    internal bool Answers(TimeProvider time) =>
        Volatile.Read(ref _unanswered) < MaxUnanswered || time.GetElapsedTime(Interlocked.Read(ref _silentSince)) >= SilentPause;

    internal void NoteSilence(long now)
    {
        Interlocked.Exchange(ref _silentSince, now);
        Interlocked.Increment(ref _unanswered);
    }

    internal void NoteAnswer() => Volatile.Write(ref _unanswered, 0);

    internal BlockAsk? AskOf_NeedsLock(KeyDigest digest) => _asks.Find(ask => ask.Digest == digest);

    internal void Add_NeedsLock(BlockAsk ask)
    {
        _asks.Add(ask);
        _work.Set();
    }

    internal void Remove_NeedsLock(BlockAsk ask) => _asks.Remove(ask);

    /// <summary>Asks that nobody waits for any more, and that were left open long enough for late bytes.</summary>
    internal List<BlockAsk> Overdue_NeedsLock(TimeProvider time, TimeSpan grace) =>
        [.. _asks.Where(ask => !ask.IsTaken && time.GetElapsedTime(ask.StartedAt) > ask.Limit + (ask.IsTold ? grace : TimeSpan.Zero))];

    /// <summary>Tells the worker of a removal, as soon as it asks.</summary>
    internal void Tell_NeedsLock(HolderAskKind kind, ReadOnlyMemory<byte> key)
    {
        if (_notices.Count >= MaxNotices)
        {
            _notices.Clear();
            kind = HolderAskKind.ForgetAll;
        }

        _notices.Enqueue(new HolderAsk(0, kind, false, 0, 0, kind == HolderAskKind.ForgetAll ? default : key));
        _work.Set();
    }

    internal void Close_NeedsLock()
    {
        _isClosed = true;
        _blocks.Clear();
        _asks.Clear();
        _notices.Clear();
        _work.Set();
    }

    /// <summary>Notices come before asks, and foreground before background.</summary>
    private void Take_NeedsLock(List<HolderAsk> asks, int most)
    {
        while (asks.Count < most && _notices.TryDequeue(out var notice))
        {
            asks.Add(notice);
        }

        foreach (var isBackground in (ReadOnlySpan<bool>)[false, true])
        {
            foreach (var ask in _asks)
            {
                var left = ask.Limit - _tier.Time.GetElapsedTime(ask.StartedAt);
                if (asks.Count < most && !ask.IsTold && ask.IsBackground == isBackground && left > TimeSpan.Zero)
                {
                    ask.IsTold = true;
                    asks.Add(new HolderAsk(ask.Number, HolderAskKind.Give, isBackground, (uint)ask.PayloadBytes, (uint)left.TotalMilliseconds, ask.Key));
                }
            }
        }
    }
}

/// <summary>What became of an announcement.</summary>
public enum AnnounceStatus
{
    Announced,

    /// <summary>Blocks were removed since the worker was told last: it may hold some of them, and nothing is announced.</summary>
    Behind,

    /// <summary>The worker would have announced more blocks than it may.</summary>
    TooMany,
}

/// <summary>A block in the memory of a worker.</summary>
/// <param name="Place">Its place among all announcements.</param>
internal readonly record struct HeldBlock(int PayloadBytes, HeldScope Scope, int Place);

/// <summary>Names that a purge may give.</summary>
internal sealed record HeldScope(string Model, string Revision);
