using System.Runtime.InteropServices;
using KvMesh.Protocol.Arena;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine.Tests.Arena;

/// <summary>An arena that cannot be adopted is emptied, and the operator is told what was lost.</summary>
public sealed class ArenaReplacedTests : IDisposable
{
    private readonly TemporaryDirectory _arena = new("/dev/shm");
    private readonly TemporaryDirectory _data = new();
    private readonly LogLines _log = new();

    public void Dispose()
    {
        _log.Dispose();
        _data.Dispose();
        _arena.Dispose();
    }

    [Fact]
    public void Says_that_it_emptied_an_arena_of_another_size()
    {
        Run(engine => engine.PutContent("key"u8, "value"u8));

        Run(engine => Assert.Null(engine.Get("key"u8)), arenaBytes: 8 << 20);

        AssertWarned();
    }

    [Fact]
    public void Says_that_it_emptied_an_arena_of_another_version()
    {
        Run(engine => engine.PutContent("key"u8, "value"u8));
        using (var file = File.Open(PathOfArena, FileMode.Open, FileAccess.ReadWrite))
        {
            var offset = (int)Marshal.OffsetOf<ArenaHeader>(nameof(ArenaHeader.Version));
            file.Seek(offset, SeekOrigin.Begin);
            file.Write(BitConverter.GetBytes(ArenaHeader.CurrentVersion + 1));
        }

        Run(engine => Assert.Null(engine.Get("key"u8)));

        AssertWarned();
    }

    [Fact]
    public void Says_nothing_of_an_arena_that_it_adopts_or_makes()
    {
        Run(engine => engine.PutContent("key"u8, "value"u8));
        Run(engine => Assert.Equal("value"u8.ToArray(), engine.Get("key"u8)));

        Assert.DoesNotContain(_log.Lines, line => line.Level >= LogLevel.Warning);
    }

    private string PathOfArena => Assert.Single(Directory.GetFiles(_arena.Path));

    private void AssertWarned()
    {
        var warning = Assert.Single(_log.Lines, line => line.Level >= LogLevel.Warning);
        Assert.Equal(LogLevel.Warning, warning.Level);
        Assert.Contains($"Emptied arena {PathOfArena}", warning.Text, StringComparison.Ordinal);
    }

    private void Run(Action<TestEngine> work, long arenaBytes = 4 << 20)
    {
        using var engine = new TestEngine(
            options =>
            {
                options.DataDirectory = _data.Path;
                options.ArenaDirectory = _arena.Path;
                options.ArenaBytes = arenaBytes;
                options.RemoveArenaOnStop = false;
            },
            loggers: _log);
        work(engine);
    }
}
