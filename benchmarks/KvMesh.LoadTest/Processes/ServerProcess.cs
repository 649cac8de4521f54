using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace KvMesh.LoadTest.Processes;

/// <summary>
/// A server that the program starts, measures and ends. Dispose kills it by its id, and what it wrote to its standard error
/// is shown when it ends before its time.
/// </summary>
internal abstract class ServerProcess : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly Queue<string> _lastErrors = [];
    private Task? _draining;

    protected ServerProcess(string name, string program, IEnumerable<string> arguments)
    {
        Name = name;
        var start = new ProcessStartInfo(program) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            _process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new LoadTestException($"{program} cannot be started: {e.Message}. Is it installed?", e);
        }

        _process.ErrorDataReceived += (_, line) => Remember(line.Data);
        _process.BeginErrorReadLine();
    }

    public string Name { get; }

    public int ProcessId => _process.Id;

    protected StreamReader Output => _process.StandardOutput;

    /// <summary>Ends the process at once, without a chance to clean up, and waits until it is gone.</summary>
    public void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.WaitForExit();
    }

    public virtual void Dispose()
    {
        Kill();
        _draining?.GetAwaiter().GetResult();
        _process.Dispose();
    }

    /// <summary>A port that was free a moment ago.</summary>
    protected static int FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    /// <summary>Returns as soon as something listens on the port.</summary>
    protected void WaitUntilListening(int port)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Connect(IPAddress.Loopback, port);
                return;
            }
            catch (SocketException)
            {
                ThrowIfStuck(started, $"listen on port {port}");
                Thread.Yield();
            }
        }
    }

    protected void ThrowIfStuck(long started, string what, TimeSpan? limit = null)
    {
        if (_process.HasExited || Stopwatch.GetElapsedTime(started) > (limit ?? StartLimit))
        {
            throw new LoadTestException($"{Name} did not {what}. {Errors()}");
        }
    }

    protected string Errors()
    {
        lock (_lastErrors)
        {
            return _lastErrors.Count == 0 ? "It wrote no error." : "Its last words: " + string.Join(" | ", _lastErrors);
        }
    }

    /// <summary>Throws away what the server prints, so that its pipe never fills.</summary>
    protected void DrainOutput() => _draining = Output.BaseStream.CopyToAsync(Stream.Null);

    private void Remember(string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (_lastErrors)
        {
            _lastErrors.Enqueue(line);
            if (_lastErrors.Count > 20)
            {
                _lastErrors.Dequeue();
            }
        }
    }
}
