using System.Globalization;

namespace KvMesh.Cli.Local;

/// <summary>
/// A process of a local mesh that shall run as long as the mesh does. One that dies is reported at once and started again after a pause that
/// doubles with each death in a row; one that was stopped, and so ended with code 0, stays away.
/// </summary>
internal sealed class Supervised : IAsyncDisposable
{
    /// <summary>Deaths in a row after which it is left alone: what kills it will do so again.</summary>
    private const int MaxDeaths = 8;

    /// <summary>Codes from here on are signals, by the convention of shells.</summary>
    private const int FirstSignalCode = 128;

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>A run of this length ends a row of deaths.</summary>
    private static readonly TimeSpan Steady = TimeSpan.FromMinutes(1);

    /// <summary>Ctrl-C in a terminal reaches all processes at once, and ours may not be the first to hear of it.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(100);

    private readonly string _name;
    private readonly Func<LocalProcess> _start;
    private readonly Func<LocalProcess, CancellationToken, Task> _ready;
    private readonly TextWriter _log;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop;
    private readonly Lock _lock = new();
    private LocalProcess _process;
    private long _startedAt;

    /// <param name="start">Starts it, for the first time and again.</param>
    /// <param name="ready">Waits until it serves; throws <see cref="CommandException"/> when it ends before.</param>
    /// <param name="stopping">From when on nothing is started any more.</param>
    public Supervised(
        string name, Func<LocalProcess> start, Func<LocalProcess, CancellationToken, Task> ready, TextWriter log, TimeProvider time, CancellationToken stopping)
    {
        _name = name;
        _start = start;
        _ready = ready;
        _log = log;
        _time = time;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _process = start();
        _startedAt = time.GetTimestamp();
    }

    /// <summary>Completes when it has ended for good. Before <see cref="FirstReadyAsync"/> nobody watches it.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    /// <summary>Waits until it serves for the first time, and watches it from then on.</summary>
    /// <exception cref="CommandException">It ended before.</exception>
    public async Task FirstReadyAsync(CancellationToken cancellationToken)
    {
        await _ready(_process, cancellationToken);
        Ended = Task.Run(WatchAsync, CancellationToken.None);
    }

    /// <summary>Asks it to stop, and waits.</summary>
    public async ValueTask DisposeAsync()
    {
        LocalProcess last;
        await _stop.CancelAsync();
        lock (_lock)
        {
            last = _process;
        }

        await last.DisposeAsync();
        await Ended;
        _stop.Dispose();
    }

    private async Task WatchAsync()
    {
        for (var deaths = 1; ; deaths++)
        {
            var code = await _process.Ended;
            deaths = _time.GetElapsedTime(_startedAt) < Steady ? deaths : 1;
            if (!await PauseAsync(Grace) || !await MayGoOnAsync(code, deaths) || !await PauseAsync(PauseAfter(deaths)) || !await TryStartAsync())
            {
                return;
            }
        }
    }

    private static TimeSpan PauseAfter(int deaths) => FirstPause * Math.Pow(2, deaths - 1) is var pause && pause < LongestPause ? pause : LongestPause;

    private static string Describe(int code) => code > FirstSignalCode
        ? string.Create(CultureInfo.InvariantCulture, $"code {code}: killed by signal {code - FirstSignalCode}")
        : string.Create(CultureInfo.InvariantCulture, $"code {code}");

    /// <summary>Says that it ended, and whether it is started again.</summary>
    private async Task<bool> MayGoOnAsync(int code, int deaths)
    {
        var isOver = code == 0 || deaths > MaxDeaths;
        var what = code == 0 ? "it was stopped, and is not started again"
            : isOver ? $"that is the {deaths}th time in a row, it is not started again"
            : string.Create(CultureInfo.InvariantCulture, $"it is started again in {PauseAfter(deaths).TotalSeconds:0.#} s");
        await _log.WriteLineAsync($"kvmesh: {_name} ended with {Describe(code)}; {what}");
        return !isOver;
    }

    /// <summary>False when the mesh is stopping.</summary>
    private async Task<bool> PauseAsync(TimeSpan pause)
    {
        await Task.Delay(pause, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !_stop.IsCancellationRequested;
    }

    /// <summary>Starts it again. One that does not come up counts as another death. False when the mesh is stopping.</summary>
    private async Task<bool> TryStartAsync()
    {
        try
        {
            LocalProcess before;
            lock (_lock)
            {
                // Whoever stops the mesh stops the process that is here then.
                if (_stop.IsCancellationRequested)
                {
                    return false;
                }

                before = _process;
                _process = _start();
                _startedAt = _time.GetTimestamp();
            }

            await before.DisposeAsync();
            await _ready(_process, _stop.Token);
            await _log.WriteLineAsync($"kvmesh: {_name} runs again, as process {_process.Id}");
        }
        catch (CommandException failure)
        {
            await _log.WriteLineAsync($"kvmesh: {failure.Message}");
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return false;
        }

        return true;
    }
}
