using KvMesh.Cluster.Removals;
using KvMesh.Server.Mesh;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Server.Tests;

public sealed class RemovalFileTests : IDisposable
{
    private static readonly RemovalState State = new(
        "life", "edition", 7, 3, 2, [new NumberedPurge(new PurgeScope("acme", "m", null), 5, "")], [new PurgeScope("beta", null, null)],
        [new RemovedKey("acme", new byte[] { 1, 2, 255 })]);

    private readonly TemporaryDirectory _directory = new();

    private string Path => System.IO.Path.Combine(_directory.Path, "removals.json");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Gives_back_what_was_saved()
    {
        Open().Save(State);

        var loaded = Open().Load()!;

        Assert.Equal((State.Lineage, State.Edition, State.Mark, State.Missing, State.PurgeFloor), (loaded.Lineage, loaded.Edition, loaded.Mark, loaded.Missing, loaded.PurgeFloor));
        Assert.Equal(State.Purges, loaded.Purges);
        Assert.Equal(State.UntoldPurges, loaded.UntoldPurges);
        Assert.Equal(State.UntoldKeys[0].Key.ToArray(), Assert.Single(loaded.UntoldKeys).Key.ToArray());
    }

    [Fact]
    public void Has_nothing_before_the_first_save_and_in_another_cluster()
    {
        Assert.Null(Open().Load());
        Open().Save(State);
        Assert.Null(new RemovalFile(_directory.Path, "other", NullLogger.Instance).Load());
    }

    [Fact]
    public void Says_that_something_is_lost_when_the_file_is_cut_anywhere()
    {
        Open().Save(State);
        var whole = File.ReadAllBytes(Path);
        for (var length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(Path, whole[..length]);
            Assert.Same(RemovalState.Lost, Open().Load());
        }
    }

    private RemovalFile Open() => new(_directory.Path, "test", NullLogger.Instance);
}
