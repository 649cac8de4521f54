using KvMesh.Cluster.Map;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native.Peers;

/// <summary>
/// The node's last changes to content blocks as its directories want them: by digest, with the changes of each slot linked, so that a
/// directory of three slots among a thousand nodes is answered without looking at the rest, and a digest is computed once for all.
/// <para>
/// A thread of its own reads the event log and notes for each event how the block stands <em>now</em>. Events of one key may be logged in
/// another order than things happened; but each change has its event behind it, so that the last note of a key is the truth. The
/// engine never waits for this thread, nor this thread for a directory: who is too slow finds a gap.
/// </para>
/// </summary>
internal sealed class FeedLog : IDisposable
{
    /// <summary>Changes that are kept. At 50,000 a second a directory may be away for a second.</summary>
    public const int Capacity = 1 << 16;

    private static readonly TimeSpan WaitLimit = TimeSpan.FromSeconds(1);

    private readonly BlockEngine _engine;
    private readonly DigestSecret _secret;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Thread _thread;
    private readonly Lock _lock = new();
    private readonly DigestState[] _states = new DigestState[Capacity];
    private readonly long[] _previous = new long[Capacity];
    private readonly long[] _newest = new long[DigestSlots.Count];
    private long _last = 1;
    private long _lost = 1;

    public FeedLog(BlockEngine engine, DigestSecret secret)
    {
        _engine = engine;
        _secret = secret;
        var after = engine.Events.LastSequence;
        _thread = new Thread(() => Follow(after)) { Name = "kvmesh-feed", IsBackground = true };
        _thread.Start();
    }

    /// <summary>
    /// Copies changes of some slots after a position. Returns how many, or -1 when some of them are gone; <paramref name="next"/> is where to
    /// go on.
    /// </summary>
    public int Read(long after, SlotSet slots, Span<DigestState> destination, out long next)
    {
        lock (_lock)
        {
            next = _last;
            if (after < _lost || after < _last - Capacity || after > _last)
            {
                return -1;
            }

            return slots.IsFull ? ReadAll(after, destination, ref next) : ReadSome(after, slots, destination, ref next);
        }
    }

    /// <summary>
    /// Tells how a block stands though nothing happened to it. It is looked at under the lock: what happens afterwards has its note behind this one.
    /// </summary>
    public void Correct(Tenant tenant, ReadOnlySpan<byte> key)
    {
        lock (_lock)
        {
            Append_NeedsLock(StateOf(_engine, tenant, key, _secret));
        }
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _thread.Join();
        _stopping.Dispose();
    }

    private int ReadAll(long after, Span<DigestState> destination, ref long next)
    {
        var count = (int)Math.Min(destination.Length, _last - after);
        for (var index = 0; index < count; index++)
        {
            destination[index] = _states[(after + 1 + index) % Capacity];
        }

        next = after + count;
        return count;
    }

    /// <summary>Walks back along the links of each slot, then answers in order.</summary>
    private int ReadSome(long after, SlotSet slots, Span<DigestState> destination, ref long next)
    {
        var positions = new List<long>();
        for (var slot = 0; slot < DigestSlots.Count; slot++)
        {
            if (slots.Contains(slot))
            {
                for (var position = _newest[slot]; position > after; position = _previous[position % Capacity])
                {
                    positions.Add(position);
                }
            }
        }

        positions.Sort();
        var count = Math.Min(positions.Count, destination.Length);
        for (var index = 0; index < count; index++)
        {
            destination[index] = _states[positions[index] % Capacity];
        }

        next = count < positions.Count ? positions[count - 1] : _last;
        return count;
    }

    private void Follow(long after)
    {
        var events = new BlockEvent[512];
        var notes = new List<DigestState>(events.Length);
        while (!_stopping.IsCancellationRequested)
        {
            var log = _engine.Events;
            if (!log.Wait(after, WaitLimit, _stopping.Token))
            {
                continue;
            }

            var count = log.Read(after, events);
            if (count < 0)
            {
                // Nobody may go on from before: what happened meanwhile is not known.
                after = log.LastSequence;
                Lose();
                continue;
            }

            after += count;
            Note(events.AsSpan(0, count), notes);
        }
    }

    private void Note(ReadOnlySpan<BlockEvent> events, List<DigestState> notes)
    {
        notes.Clear();
        foreach (var entry in events)
        {
            if (entry.IsContent && _engine.Tenants.Find(entry.Tenant) is { } tenant)
            {
                notes.Add(StateOf(_engine, tenant, entry.Key.Span, _secret));
            }
        }

        lock (_lock)
        {
            foreach (var state in notes)
            {
                Append_NeedsLock(state);
            }
        }
    }

    /// <summary>How a block stands now.</summary>
    public static DigestState StateOf(BlockEngine engine, Tenant tenant, ReadOnlySpan<byte> key, in DigestSecret secret)
    {
        var digest = KeyDigest.Compute(secret, TenantNumbers.Of(tenant.Name), key);
        return engine.TryInspect(tenant, key, out var info) && info.IsContent ? StateOf(digest, info)
            : engine.TryInspectHeld(tenant, key, out info) ? new DigestState(digest, (uint)info.PayloadBytes, DigestState.HeldTier)
            : new DigestState(digest, 0, 0);
    }

    public static DigestState StateOf(in KeyDigest digest, in BlockInfo info)
    {
        // A block that is just being moved is in no tier for a moment, and still there.
        var tiers = info.Tiers & (BlockTiers.Host | BlockTiers.Disk);
        tiers = tiers == BlockTiers.None ? BlockTiers.Disk : tiers;
        return new DigestState(digest, (uint)info.PayloadBytes, (byte)tiers);
    }

    private void Append_NeedsLock(in DigestState state)
    {
        var position = ++_last;
        var slot = DigestSlots.Of(state.Digest);
        _states[position % Capacity] = state;
        _previous[position % Capacity] = _newest[slot];
        _newest[slot] = position;
    }

    private void Lose()
    {
        lock (_lock)
        {
            _lost = ++_last;
            _newest.AsSpan().Clear();
        }
    }
}
