using KvMesh.Engine.Arena;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Arena;

public sealed class ArenaMappingTests : IDisposable
{
    private const int DataBytes = 33 << 20;
    private const int PieceBytes = 16 << 20;

    private readonly TemporaryDirectory _directory = new("/dev/shm");

    [Fact]
    public void Populating_changes_no_byte_and_leaves_out_no_range()
    {
        using var arena = ArenaMapping.Open(Path.Combine(_directory.Path, "test.arena"), _directory.Path, DataBytes, descriptorCount: 64);
        TestBytes.Payload(1, DataBytes / 2).CopyTo(arena.Data(0, DataBytes / 2));
        var header = arena.Header.Incarnation;
        var hugeBytes = 0L;
        for (var offset = 0; offset < DataBytes; offset += PieceBytes)
        {
            Assert.True(arena.TryPopulate(offset, Math.Min(PieceBytes, DataBytes - offset), out var more));
            hugeBytes += more;
        }

        Assert.InRange(hugeBytes, 0, arena.DataBytes);
        Assert.Equal(header, arena.Header.Incarnation);
        Assert.Equal(TestBytes.Payload(1, DataBytes / 2), arena.Data(0, DataBytes / 2));
        Assert.Equal(-1, arena.Data(DataBytes / 2, DataBytes / 2).IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void The_same_bytes_are_there_when_the_file_is_mapped_again()
    {
        var path = Path.Combine(_directory.Path, "test.arena");
        using (var arena = ArenaMapping.Open(path, _directory.Path, DataBytes, descriptorCount: 64))
        {
            Assert.False(arena.IsAdopted);
            arena.TryPopulate(0, DataBytes, out _);
            TestBytes.Payload(2, 4096).CopyTo(arena.Data(DataBytes - 4096, 4096));
        }

        using var again = ArenaMapping.Open(path, _directory.Path, DataBytes, descriptorCount: 64);
        Assert.True(again.IsAdopted);
        Assert.Equal(TestBytes.Payload(2, 4096), again.Data(DataBytes - 4096, 4096));
    }

    public void Dispose() => _directory.Dispose();
}
