using KvMesh.Engine.Arena;
using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Arena;

/// <summary>One process writes to an arena; which arena is whose, and which is nobody's, does not hang on paths or process ids.</summary>
public sealed class ArenaOwnershipTests : IDisposable
{
    private const int DataBytes = 1 << 20;
    private const int DescriptorCount = 64;

    private readonly TemporaryDirectory _arenas = new("/dev/shm");
    private readonly TemporaryDirectory _data = new();

    [Fact]
    public void Refuses_an_arena_that_somebody_has()
    {
        var path = Path.Combine(_arenas.Path, "kvmesh-one.arena");
        using (Open(path))
        {
            Assert.True(ArenaLock.IsHeld(path));
            var refusal = Assert.Throws<EngineStartException>(() => Open(path)).Message;
            Assert.Contains($"{path} is in use by another process", refusal, StringComparison.Ordinal);
        }

        Assert.False(ArenaLock.IsHeld(path));
        using var next = Open(path);
        Assert.True(next.IsAdopted);
    }

    [Fact]
    public void Refuses_to_empty_an_arena_that_somebody_has()
    {
        var path = Path.Combine(_arenas.Path, "kvmesh-one.arena");
        using var owner = Open(path);
        Assert.Throws<EngineStartException>(() => ArenaMapping.Open(path, _data.Path, 2 * DataBytes, DescriptorCount));
        Assert.True(File.Exists(path));
    }

    [Fact]
    public void A_copy_of_a_data_directory_is_refused_while_the_original_runs()
    {
        using var original = new TestEngine(Configure(_data.Path));
        Assert.Equal(SealStatus.Sealed, original.Put("key"u8, [1, 2, 3], default));
        using var copy = new TemporaryDirectory();
        File.Copy(Path.Combine(_data.Path, "identity"), Path.Combine(copy.Path, "identity"));

        Assert.Throws<EngineStartException>(() => new TestEngine(Configure(copy.Path)));
        Assert.Equal([1, 2, 3], original.Get("key"u8));
    }

    [Fact]
    public void A_data_directory_that_was_moved_finds_its_arena()
    {
        var moved = Path.Combine(_data.Path, "moved");
        var first = Directory.CreateDirectory(Path.Combine(_data.Path, "first")).FullName;
        using (var engine = new TestEngine(options =>
        {
            Configure(first)(options);
            options.RemoveArenaOnStop = false;
        }))
        {
            Assert.Equal(SealStatus.Sealed, engine.Put("key"u8, [1, 2, 3], default));
        }

        Directory.Move(first, moved);
        using var again = new TestEngine(Configure(moved));
        Assert.Equal([1, 2, 3], again.Get("key"u8));
    }

    [Fact]
    public void Removes_the_arena_of_a_directory_that_is_gone()
    {
        var left = Leave("/nowhere/at/all", ArenaFiles.MountNamespace);
        using var engine = new TestEngine(Configure(_data.Path));
        Assert.False(File.Exists(left));
    }

    [Fact]
    public void Leaves_the_arena_of_another_container_whose_directory_cannot_be_seen_here()
    {
        var left = Leave("/nowhere/at/all", ArenaFiles.MountNamespace + 1);
        using var engine = new TestEngine(Configure(_data.Path));
        Assert.True(File.Exists(left));
    }

    [Fact]
    public void Removes_what_a_directory_left_that_was_made_anew()
    {
        var left = Leave(_data.Path, ArenaFiles.MountNamespace);
        using var engine = new TestEngine(Configure(_data.Path));
        Assert.False(File.Exists(left));
    }

    [Fact]
    public void Leaves_the_arena_of_another_directory_at_the_same_path()
    {
        using (new TestEngine(Configure(_data.Path)))
        {
        }

        // That of a container which crashed, whose namespace had the number that this one has by now.
        var left = Leave(_data.Path, ArenaFiles.MountNamespace);
        using var engine = new TestEngine(Configure(_data.Path));
        Assert.True(File.Exists(left));
    }

    [Fact]
    public void Removes_the_arena_of_a_tenant_that_is_configured_no_more()
    {
        var withOne = Configure(_data.Path);
        using (new TestEngine(options =>
        {
            withOne(options);
            options.RemoveArenaOnStop = false;
            options.Tenants.Add(new TenantOptions { Name = "default" });
            options.Tenants.Add(new TenantOptions { Name = "acme" });
        }))
        {
            Assert.Equal(2, Directory.GetFiles(_arenas.Path).Length);
        }

        using var engine = new TestEngine(withOne);
        Assert.Single(Directory.GetFiles(_arenas.Path));
    }

    public void Dispose()
    {
        _arenas.Dispose();
        _data.Dispose();
    }

    private Action<EngineOptions> Configure(string directory) => options =>
    {
        options.DataDirectory = directory;
        options.ArenaDirectory = _arenas.Path;
        options.ArenaBytes = 4 << 20;
    };

    private ArenaMapping Open(string path) => ArenaMapping.Open(path, _data.Path, DataBytes, DescriptorCount);

    /// <summary>An arena that a process left behind.</summary>
    private string Leave(string dataDirectory, ulong mountNamespace)
    {
        var path = Path.Combine(_arenas.Path, $"kvmesh-{Guid.NewGuid():n}-00000000.arena");
        using var arena = ArenaMapping.Open(path, dataDirectory, DataBytes, DescriptorCount);
        arena.Header.MountNamespace = mountNamespace;
        return path;
    }
}
