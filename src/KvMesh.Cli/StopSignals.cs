using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvMesh.Cli;

/// <summary>
/// SIGINT and SIGTERM: the first asks to stop, a later one ends the process at once, as a crash would. What comes right behind the first is the same wish: a terminal
/// and <c>timeout</c> signal a process and its group.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private static readonly TimeSpan Echo = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly TextWriter _error;
    private readonly TimeProvider _time;
    private readonly Action _end;
    private long _firstAt;

    public StopSignals(TextWriter error)
        : this(error, TimeProvider.System, EndProcess) =>
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal),
        ];

    /// <summary>Listens to no signal of the system.</summary>
    /// <param name="end">Ends the process.</param>
    internal StopSignals(TextWriter error, TimeProvider time, Action end)
    {
        _error = error;
        _time = time;
        _end = end;
        _registrations = [];
    }

    public CancellationToken Token => _stop.Token;

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _stop.Dispose();
    }

    internal void Receive()
    {
        var firstAt = Interlocked.CompareExchange(ref _firstAt, _time.GetTimestamp(), 0);
        if (firstAt == 0)
        {
            _stop.Cancel();
        }
        else if (_time.GetElapsedTime(firstAt) >= Echo)
        {
            _error.WriteLine("kvmesh: second signal, ending at once");
            _end();
        }
    }

    private static void EndProcess()
    {
        // Exit handlers of the runtime would wait for what is stuck; the engine is made for a kill.
        using var self = Process.GetCurrentProcess();
        self.Kill();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        Receive();
    }
}
