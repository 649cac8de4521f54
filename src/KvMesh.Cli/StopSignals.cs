using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvMesh.Cli;

/// <summary>SIGINT and SIGTERM: the first asks to stop, the second ends the process at once, as a crash would.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly TextWriter _error;
    private int _signals;

    public StopSignals(TextWriter error)
    {
        _error = error;
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal),
        ];
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

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _signals) == 1)
        {
            _stop.Cancel();
            return;
        }

        // Exit handlers of the runtime would wait for what is stuck; the engine is made for a kill.
        _error.WriteLine("kvmesh: second signal, ending at once");
        using var self = Process.GetCurrentProcess();
        self.Kill();
    }
}
