using KvMesh.Engine.Arena;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Arena;

/// <summary>Whether an arena fits is known before anything is written, and said with field, value and limit.</summary>
public sealed class ArenaRoomTests : IDisposable
{
    private const long MiB = 1 << 20;

    private static readonly MemoryLimit Plenty = new(long.MaxValue / 2, "the machine");

    private readonly TemporaryDirectory _directory = new("/dev/shm");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void More_than_the_file_system_holds_is_refused()
    {
        var refusal = Assert.Throws<EngineStartException>(() => ArenaFiles.ThrowIfNoRoom(_directory.Path, [], 1L << 60, Plenty)).Message;

        Assert.Contains("Engine:ArenaBytes asks for 1073741824.00 GiB", refusal, StringComparison.Ordinal);
        Assert.Contains($"{_directory.Path} has room for", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void More_than_a_control_group_gives_is_refused()
    {
        var limit = new MemoryLimit(10 * MiB, "the control group /kvmesh");

        var refusal = Assert.Throws<EngineStartException>(() => ArenaFiles.ThrowIfNoRoom(_directory.Path, [], 11 * MiB, limit)).Message;

        Assert.Contains("Engine:ArenaBytes asks for 11.0 MiB with descriptors, but the control group /kvmesh has 10.0 MiB", refusal, StringComparison.Ordinal);
        ArenaFiles.ThrowIfNoRoom(_directory.Path, [], 10 * MiB, limit);
    }

    [Fact]
    public void An_arena_from_before_counts_with_the_pages_that_it_has_not_with_its_length()
    {
        var path = Path.Combine(_directory.Path, "kvmesh-before.arena");
        using (var file = File.Create(path))
        {
            file.Write(new byte[2 * MiB]);
            file.SetLength(64 * MiB);
        }

        Assert.Equal(2 * MiB, FilePages.AllocatedBytes(path));
        var limit = new MemoryLimit(8 * MiB, "the machine");
        ArenaFiles.ThrowIfNoRoom(_directory.Path, [path], 10 * MiB, limit);
        Assert.Throws<EngineStartException>(() => ArenaFiles.ThrowIfNoRoom(_directory.Path, [path], 11 * MiB, limit));
    }

    [Fact]
    public void What_another_living_node_has_not_touched_yet_is_not_given_twice()
    {
        var path = Path.Combine(_directory.Path, "kvmesh-other.arena");
        var limit = new MemoryLimit(64 * MiB, "the machine");
        using (var other = ArenaMapping.Open(path, _directory.Path, 48 * MiB, descriptorCount: 64))
        {
            other.TryPopulate(0, 8 * MiB, out _);

            var refusal = Assert.Throws<EngineStartException>(() => ArenaFiles.ThrowIfNoRoom(_directory.Path, [], 32 * MiB, limit)).Message;
            Assert.Contains("that arenas of other nodes there may still take", refusal, StringComparison.Ordinal);
            ArenaFiles.ThrowIfNoRoom(_directory.Path, [], 16 * MiB, limit);
        }

        // Its process has stopped: it takes no more.
        ArenaFiles.ThrowIfNoRoom(_directory.Path, [], 64 * MiB, limit);
    }
}
