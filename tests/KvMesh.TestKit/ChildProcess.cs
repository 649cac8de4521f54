using System.Diagnostics;
using System.Text;

namespace KvMesh.TestKit;

/// <summary>A process that a test started. It ends with the test, whatever happens; what it printed is kept for the failure message.</summary>
public sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _name;
    private readonly Task _reading;
    private readonly Lock _lock = new();
    private readonly List<string> _output = [];
    private readonly StringBuilder _error = new();
    private TaskCompletionSource _changed = NewSignal();

    private ChildProcess(Process process, string name)
    {
        _process = process;
        _name = name;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, AddOutput), ReadAsync(process.StandardError, AddError));
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Lines of standard output so far.</summary>
    public IReadOnlyList<string> Output
    {
        get
        {
            lock (_lock)
            {
                return [.. _output];
            }
        }
    }

    /// <summary>Standard error so far.</summary>
    public string Error
    {
        get
        {
            lock (_lock)
            {
                return _error.ToString();
            }
        }
    }

    /// <exception cref="InvalidOperationException">There is no such program on this machine.</exception>
    /// <param name="input">Standard input of the program; null: that of the tests.</param>
    public static ChildProcess Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? input = null)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = input is not null,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        try
        {
            var child = new ChildProcess(Process.Start(start)!, $"{Path.GetFileName(program)} {string.Join(' ', start.ArgumentList)}");
            child.Type(input);
            return child;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException($"'{program}' cannot be started; the tests need it: {e.Message}", e);
        }
    }

    /// <summary>Runs a program to its end and returns its exit code.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(
        string program, IEnumerable<string> arguments, TimeSpan limit, IReadOnlyDictionary<string, string>? environment = null)
    {
        await using var child = Start(program, arguments, environment);
        var exitCode = await child.WaitForExitAsync(limit);
        return (exitCode, string.Join('\n', child.Output), child.Error);
    }

    /// <summary>The first line of standard output that fits. Fails when the process ends or the limit passes before.</summary>
    public async Task<string> WaitForLineAsync(Func<string, bool> fits, string what, TimeSpan limit)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var (line, changed) = FindLine(fits);
            if (line is not null)
            {
                return line;
            }

            var left = limit - TimeProvider.System.GetElapsedTime(deadline);
            if (left <= TimeSpan.Zero || (_reading.IsCompleted && FindLine(fits).Line is null))
            {
                throw new TimeoutException($"{_name}: {what} is missing after {limit.TotalSeconds:0} s (exited: {HasExited}).\n{Describe()}");
            }

            await Task.WhenAny(changed, _reading, Task.Delay(left));
        }
    }

    /// <summary>Waits for the end. Fails when the limit passes before.</summary>
    public async Task<int> WaitForExitAsync(TimeSpan limit)
    {
        using var timeout = new CancellationTokenSource(limit);
        try
        {
            await _process.WaitForExitAsync(timeout.Token);
            await _reading.WaitAsync(timeout.Token);
            return _process.ExitCode;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{_name}: still running after {limit.TotalSeconds:0} s.\n{Describe()}");
        }
    }

    /// <summary>Sends a signal by name: TERM, STOP, CONT.</summary>
    public Task SignalAsync(string signal) => SignalAsync(Id, signal);

    /// <summary>Sends a signal to a process that this one started.</summary>
    public static async Task SignalAsync(int processId, string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{processId}"]);
        await kill.WaitForExitAsync();
    }

    /// <summary>Kill -9, and wait until it is gone.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await WaitForExitAsync(Eventually.Patience);
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await KillAsync();
        }
        finally
        {
            _process.Dispose();
        }
    }

    /// <summary>All that it printed.</summary>
    public string Describe() => $"standard output:\n{string.Join('\n', Output)}\nstandard error:\n{Error}";

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Type(string? input)
    {
        if (input is not null)
        {
            _process.StandardInput.Write(input);
            _process.StandardInput.Close();
        }
    }

    private static async Task ReadAsync(StreamReader reader, Action<string> add)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            add(line);
        }
    }

    private (string? Line, Task Changed) FindLine(Func<string, bool> fits)
    {
        lock (_lock)
        {
            return (_output.FirstOrDefault(fits), _changed.Task);
        }
    }

    private void AddOutput(string line)
    {
        lock (_lock)
        {
            _output.Add(line);
            _changed.TrySetResult();
            _changed = NewSignal();
        }
    }

    private void AddError(string line)
    {
        lock (_lock)
        {
            _error.AppendLine(line);
        }
    }
}
