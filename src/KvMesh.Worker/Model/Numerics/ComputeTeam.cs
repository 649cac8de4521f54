using System.Runtime.ExceptionServices;

namespace KvMesh.Worker.Model.Numerics;

/// <summary>
/// Threads that compute the parts of one piece of work together with the caller. Parts are taken in any order by any of them: they must not depend on
/// each other, nor their result on who computes them. One caller at a time.
/// </summary>
/// <remarks>
/// <c>_ticket</c> holds the number of the round in its upper half and the parts that nobody has taken in its lower one. A part is taken by comparing and
/// swapping the whole of it, so that who comes late to a round cannot take a part of the next with the work of this one; and as the caller waits for
/// every part that was taken, <c>_work</c> does not change under who took one.
/// </remarks>
public sealed class ComputeTeam : IDisposable
{
    /// <summary>Most threads.</summary>
    public const int MaxThreads = 256;

    // About 20 µs: longer than the caller is between two pieces of work of one layer, shorter than anybody minds.
    private const int SpinsBeforeSleep = 200;

    private readonly Thread[] _threads;
    private readonly Lock _caller = new();
    private readonly object _gate = new();
    private Action<int, int> _work = (_, _) => { };
    private ExceptionDispatchInfo? _failure;
    private long _ticket;
    private int _parts;
    private int _finished;
    private int _sleepers;
    private volatile bool _isEnding;

    /// <param name="threads">Threads that compute, the caller's included.</param>
    public ComputeTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(threads, MaxThreads);
        ThreadCount = threads;
        _threads = new Thread[threads - 1];
        for (var index = 0; index < _threads.Length; index++)
        {
            var worker = index + 1;
            _threads[index] = new Thread(() => Loop(worker)) { IsBackground = true, Name = $"kvmesh-compute-{worker}" };
            _threads[index].Start();
        }
    }

    public int ThreadCount { get; }

    /// <summary>Calls <paramref name="work"/> once for each part, with the part and the worker, from 0 to <see cref="ThreadCount"/> - 1, that runs it.</summary>
    /// <remarks>An exception of a part is thrown here when all parts have ended.</remarks>
    public void Run(int parts, Action<int, int> work)
    {
        ObjectDisposedException.ThrowIf(_isEnding, this);
        lock (_caller)
        {
            if (parts <= 1 || _threads.Length == 0)
            {
                for (var part = 0; part < parts; part++)
                {
                    work(part, 0);
                }

                return;
            }

            RunTogether(parts, work);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isEnding = true;
            Monitor.PulseAll(_gate);
        }

        foreach (var thread in _threads)
        {
            thread.Join();
        }
    }

    private void RunTogether(int parts, Action<int, int> work)
    {
        _work = work;
        _parts = parts;
        _failure = null;
        Volatile.Write(ref _finished, 0);
        var round = (uint)(Volatile.Read(ref _ticket) >> 32) + 1;
        Interlocked.Exchange(ref _ticket, ((long)round << 32) | (uint)parts);
        if (Volatile.Read(ref _sleepers) > 0)
        {
            lock (_gate)
            {
                Monitor.PulseAll(_gate);
            }
        }

        TakeParts(0);
        var spin = default(SpinWait);
        while (Volatile.Read(ref _finished) < parts)
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }

        _failure?.Throw();
    }

    private void Loop(int worker)
    {
        while (!_isEnding)
        {
            TakeParts(worker);
            for (var spins = 0; spins < SpinsBeforeSleep && !HasParts; spins++)
            {
                Thread.SpinWait(10);
            }

            Sleep();
        }
    }

    private bool HasParts => (uint)Volatile.Read(ref _ticket) != 0;

    private void Sleep()
    {
        if (HasParts)
        {
            return;
        }

        lock (_gate)
        {
            Interlocked.Increment(ref _sleepers);
            while (!HasParts && !_isEnding)
            {
                Monitor.Wait(_gate);
            }

            Interlocked.Decrement(ref _sleepers);
        }
    }

    private void TakeParts(int worker)
    {
        while (true)
        {
            var ticket = Volatile.Read(ref _ticket);
            var left = (uint)ticket;
            if (left == 0)
            {
                return;
            }

            if (Interlocked.CompareExchange(ref _ticket, ticket - 1, ticket) == ticket)
            {
                RunPart(_parts - (int)left, worker);
            }
        }
    }

    private void RunPart(int part, int worker)
    {
        try
        {
            _work(part, worker);
        }
        catch (Exception e)
        {
            // The root of a part: the caller gets it.
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(e), null);
        }
        finally
        {
            Interlocked.Increment(ref _finished);
        }
    }
}
