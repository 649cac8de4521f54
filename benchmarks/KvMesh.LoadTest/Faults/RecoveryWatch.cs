using System.Diagnostics;

namespace KvMesh.LoadTest.Faults;

/// <summary>
/// Finds out when clients are served again as before: at the first of so many gets in a row, all of them made after the look began, that hit
/// often enough. <see cref="Note"/> is called under one lock; the result may be read from anywhere.
/// </summary>
internal sealed class RecoveryWatch(IReadOnlyCollection<string> homes, double ratio)
{
    /// <summary>Gets in a row over which the ratio is taken: two clients of a node make them in about a second.</summary>
    public const int Gets = 100;

    private readonly long _beganAt = Stopwatch.GetTimestamp();
    private readonly Queue<(long At, bool IsHit)> _last = new(Gets);
    private long _recoveredAt;
    private int _hits;

    /// <summary>From the beginning of the look to the first of these gets; null: not yet.</summary>
    public TimeSpan? Recovery => Volatile.Read(ref _recoveredAt) is not 0 and var at ? Stopwatch.GetElapsedTime(_beganAt, at) : null;

    public void Note(string home, bool isHit)
    {
        if (_recoveredAt != 0 || !homes.Contains(home))
        {
            return;
        }

        if (_last.Count == Gets)
        {
            _hits -= _last.Dequeue().IsHit ? 1 : 0;
        }

        _last.Enqueue((Stopwatch.GetTimestamp(), isHit));
        _hits += isHit ? 1 : 0;
        if (_last.Count == Gets && _hits >= ratio * Gets)
        {
            Volatile.Write(ref _recoveredAt, _last.Peek().At);
        }
    }

    /// <summary>How the gets stand that were made last.</summary>
    public override string ToString() => $"{_hits} hits in the last {_last.Count} gets of {string.Join(", ", homes)}; {ratio * Gets:0} in {Gets} are needed";
}
