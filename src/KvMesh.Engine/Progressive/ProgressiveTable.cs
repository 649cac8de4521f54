using System.Collections.Concurrent;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Leases;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Progressive;

/// <summary>The blocks that are being written by section. Readers take no lock; a write takes one when it begins and one when it ends.</summary>
internal sealed class ProgressiveTable(TimeSpan patience)
{
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<KeyDigest, ProgressiveKey> _keys = new();
    private int _count;

    /// <summary>Blocks that are being written by section now.</summary>
    public int Count => Volatile.Read(ref _count);

    public ProgressiveWrite Add(Block block, int sectionBytes, ConnectionLeases leases, long now)
    {
        lock (_lock)
        {
            var key = _keys.GetOrAdd(block.Digest, static digest => new ProgressiveKey(digest));
            var write = new ProgressiveWrite(block, sectionBytes, key, leases, now);
            key.Writes = [.. key.Writes, write];
            Interlocked.Increment(ref _count);
            key.Pulse();
            return write;
        }
    }

    /// <summary>Ends a write that the caller claimed: those who come do not find it, those who wait are woken.</summary>
    public void End(ProgressiveWrite write)
    {
        lock (_lock)
        {
            write.Key.Writes = [.. write.Key.Writes.Where(other => other != write)];
            if (write.Key.Writes.Length == 0)
            {
                _keys.TryRemove(write.Key.Digest, out _);
            }

            Interlocked.Decrement(ref _count);
        }

        write.End();
        write.Key.Pulse();
    }

    public ProgressiveKey? Find(KeyDigest digest) => _keys.GetValueOrDefault(digest);

    /// <summary>A block was sealed by whomever: its readers go on with that one.</summary>
    public void NoteSeal(Block block)
    {
        if (Count > 0)
        {
            Find(block.Digest)?.Pulse();
        }
    }

    /// <summary>Writes whose writers have published nothing for too long.</summary>
    public List<ProgressiveWrite> Abandoned(long now) =>
        [.. _keys.Values.SelectMany(key => key.Writes).Where(write => IsAbandoned(write, now))];

    /// <summary>Whether nothing is on its way, and nothing came for too long.</summary>
    public bool IsAbandoned(ProgressiveWrite write, long now) => !write.IsReceiving && now - write.ProgressAt > (long)patience.TotalMilliseconds;
}
