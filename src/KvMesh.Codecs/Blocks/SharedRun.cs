using System.Runtime.ExceptionServices;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// The parts of one call, which the caller and its helpers take one by one. The caller does all that nobody else has begun, and waits only for
/// helpers that have: a pool that is busy costs it nothing but their help. Everything that a run points to is good until the caller returns, and no
/// helper looks at it any later: one that comes when the run is over finds it closed. One caller at a time; it is used again and again.
/// </summary>
internal abstract class SharedRun
{
    /// <summary>Guards what follows; never held while a part is done.</summary>
    private readonly object _gate = new();
    private readonly CodingCrew _crew;
    private readonly Helper[] _helpers;
    private Exception? _failure;
    private bool _isOpen;
    private int _helping;
    private int _next;
    private int _count;

    protected SharedRun(CodingCrew crew)
    {
        _crew = crew;
        _helpers = [.. Enumerable.Range(0, crew.Threads - 1).Select(_ => new Helper(this))];
    }

    protected CodingCrew Crew => _crew;

    /// <summary>Does all parts, with at most so many helpers. What one of them throws is thrown here, once nobody is at work any more.</summary>
    protected void Run(int count, int helpers, CodecScratch scratch)
    {
        _failure = null;
        _count = count;
        _next = 0;
        lock (_gate)
        {
            _isOpen = true;
        }

        try
        {
            var asked = Math.Min(helpers, count - 1);
            for (var index = 0; index < asked; index++)
            {
                _helpers[index].Ask();
            }

            Work(scratch);
        }
        finally
        {
            Close();
        }

        if (_failure is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    /// <summary>The next part that nobody has begun.</summary>
    protected bool TryTake(out int index)
    {
        index = Interlocked.Increment(ref _next) - 1;
        return index < Volatile.Read(ref _count);
    }

    /// <summary>No further part is begun.</summary>
    protected void TakeAll() => Volatile.Write(ref _count, 0);

    /// <summary>Takes parts and does them until none is left.</summary>
    protected abstract void DoParts(CodecScratch scratch);

    private void Work(CodecScratch scratch)
    {
        try
        {
            DoParts(scratch);
        }
        catch (Exception exception)
        {
            // The caller throws it: a helper has nobody above it.
            Interlocked.CompareExchange(ref _failure, exception, null);
            TakeAll();
        }
    }

    private void Close()
    {
        lock (_gate)
        {
            _isOpen = false;
            while (_helping > 0)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    private void Help()
    {
        lock (_gate)
        {
            if (!_isOpen || !_crew.TryEnter())
            {
                return;
            }

            _helping++;
        }

        var since = _crew.Now();
        var scratch = _crew.TakeScratch();
        Work(scratch);
        _crew.Return(scratch);
        _crew.NoteHelped(since);
        _crew.Leave();
        lock (_gate)
        {
            if (--_helping == 0)
            {
                Monitor.Pulse(_gate);
            }
        }
    }

    /// <summary>One who helps: queued in the pool at most once at a time, so that those who come late do not pile up.</summary>
    private sealed class Helper(SharedRun run) : IThreadPoolWorkItem
    {
        private int _isAsked;

        public void Ask()
        {
            if (Interlocked.Exchange(ref _isAsked, 1) == 0)
            {
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }
        }

        public void Execute()
        {
            run.Help();
            Volatile.Write(ref _isAsked, 0);
        }
    }
}
