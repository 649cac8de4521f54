using System.Collections.Concurrent;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Counts who codes: those who call, and threads of the pool that help them while there are fewer than <paramref name="threads"/> in all. So many blocks
/// at a time are done by one thread each, and a lone one by all. Any thread.
/// </summary>
internal sealed class CodingCrew(int threads, TimeProvider time)
{
    private readonly ConcurrentBag<CodecScratch> _scratches = [];
    private int _working;
    private long _helperTicks;
    private volatile bool _isStopped;

    public int Threads { get; } = threads > 0 ? threads : throw new ArgumentOutOfRangeException(nameof(threads), threads, "At least one thread codes.");

    public bool IsStopped => _isStopped;

    /// <summary>Threads that could help whoever is about to begin.</summary>
    public int Idle => Math.Max(Threads - 1 - Volatile.Read(ref _working), 0);

    /// <summary>A caller begins, however many there are: it is a thread already.</summary>
    public void Enter() => Interlocked.Increment(ref _working);

    /// <summary>A helper begins. False: as many as may be are at work.</summary>
    public bool TryEnter()
    {
        while (Volatile.Read(ref _working) is var working && working < Threads)
        {
            if (Interlocked.CompareExchange(ref _working, working + 1, working) == working)
            {
                return true;
            }
        }

        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _working);

    /// <summary>Working memory for one thread.</summary>
    public CodecScratch TakeScratch() => _scratches.TryTake(out var scratch) ? scratch : new CodecScratch();

    public void Return(CodecScratch scratch) => _scratches.Add(scratch);

    public long Now() => time.GetTimestamp();

    public void NoteHelped(long since) => Interlocked.Add(ref _helperTicks, time.GetElapsedTime(since).Ticks);

    /// <summary>What helpers took since this was asked last.</summary>
    public TimeSpan TakeHelperTime() => TimeSpan.FromTicks(Interlocked.Exchange(ref _helperTicks, 0));

    public void Stop() => _isStopped = true;
}
