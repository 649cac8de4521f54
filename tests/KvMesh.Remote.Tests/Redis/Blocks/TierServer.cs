using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>
/// A real redis-server on a Unix socket of the test, so that it can come back at the same address. A missing program fails the test.
/// </summary>
internal sealed class TierServer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private ChildProcess? _process;

    public string Address => Path.Combine(_directory.Path, "redis.sock");

    public ChildProcess Process => _process!;

    /// <summary>A folder for files that go with the test.</summary>
    public string Folder => _directory.Path;

    public static async Task<TierServer> StartAsync(params string[] arguments)
    {
        var server = new TierServer();
        await server.BeginAsync(arguments);
        return server;
    }

    /// <summary>Starts it, empty.</summary>
    public async Task BeginAsync(params string[] arguments)
    {
        _process = ChildProcess.Start(
            "redis-server",
            ["--port", "0", "--unixsocket", Address, "--save", "", "--appendonly", "no", "--dir", _directory.Path, .. arguments]);
        await _process.WaitForLineAsync(line => line.Contains("eady to accept connections", StringComparison.Ordinal), "ready line", Eventually.Patience);
    }

    public async Task KillAsync()
    {
        await Process.DisposeAsync();
        _process = null;
    }

    /// <summary>Gives a command with redis-cli and returns what it prints.</summary>
    public async Task<string> AskAsync(params string[] command)
    {
        var (exitCode, output, error) = await ChildProcess.RunAsync("redis-cli", ["-s", Address, .. command], Eventually.Patience);
        Assert.True(exitCode == 0, $"redis-cli {string.Join(' ', command)}: {output}{error}");
        return output.Trim();
    }

    public async Task<string[]> KeysAsync() =>
        (await AskAsync("KEYS", "*")).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Order(StringComparer.Ordinal).ToArray();

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        _directory.Dispose();
    }
}
