using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>
/// What schedulers had this node keep, and under which token they last said so. A scheduler that follows another one cannot know what that one had kept for pins
/// that have ended since; once it has asked for all that it wants kept, the rest may go. Any thread. What is kept longer than it was promised is forgotten.
/// </summary>
internal sealed class HeldRuns(TimeProvider time)
{
    /// <summary>Runs that are remembered; those beyond it end with their own time.</summary>
    private const int MaxRuns = 65_536;

    private readonly Lock _lock = new();
    private readonly Dictionary<TailName, HeldRun> _runs = [];
    private long _trimmedAt = time.GetTimestamp();

    /// <summary>Blocks are about to be kept. Said before, so that nobody lets them go as an earlier scheduler's while they are being looked at.</summary>
    public void Note(HoldRequest request)
    {
        var name = new TailName(request.Tenant, request.Keys[^1], request.Keys.Count);
        lock (_lock)
        {
            Trim_NeedsLock(request.Duration);
            if (_runs.Count < MaxRuns || _runs.ContainsKey(name))
            {
                _runs[name] = new HeldRun(request.Token, request.Keys, time.GetTimestamp(), request.Duration);
            }
        }
    }

    /// <summary>Lets go what was kept for a tenant under earlier tokens alone. Who notes a run meanwhile keeps its blocks afterwards.</summary>
    /// <param name="release">Called for each block, and has to be quick.</param>
    public void EndEarlier(string tenant, long token, Action<ReadOnlyMemory<byte>> release)
    {
        lock (_lock)
        {
            var earlier = _runs.Where(pair => pair.Key.Tenant == tenant && pair.Value.Token < token).ToList();
            if (earlier.Count == 0)
            {
                return;
            }

            var kept = _runs.Where(pair => pair.Key.Tenant == tenant && pair.Value.Token >= token).SelectMany(pair => pair.Value.Keys).ToHashSet(KeyBytes.Order);
            foreach (var (name, run) in earlier)
            {
                _runs.Remove(name);
                foreach (var key in run.Keys.Where(key => !kept.Contains(key)))
                {
                    release(key);
                }
            }
        }
    }

    private void Trim_NeedsLock(TimeSpan interval)
    {
        if (time.GetElapsedTime(_trimmedAt) < interval)
        {
            return;
        }

        _trimmedAt = time.GetTimestamp();
        foreach (var name in _runs.Where(pair => time.GetElapsedTime(pair.Value.At) >= pair.Value.Duration).Select(pair => pair.Key).ToList())
        {
            _runs.Remove(name);
        }
    }

    private sealed record HeldRun(long Token, IReadOnlyList<ReadOnlyMemory<byte>> Keys, long At, TimeSpan Duration);
}
