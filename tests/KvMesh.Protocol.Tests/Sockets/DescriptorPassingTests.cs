using System.IO.MemoryMappedFiles;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Protocol.Tests.Sockets;

public sealed class DescriptorPassingTests
{
    /// <summary>Of this class alone, so that its files can be told from others of the process.</summary>
    private const string MemoryName = "kvmesh-passed";

    [Fact]
    public void A_passed_memory_file_is_the_same_memory_at_both_ends()
    {
        using var pair = new SocketPair(isUnix: true);
        using var sent = MemoryFile.Create(MemoryName, 4096);
        pair.Near.SendWithDescriptors("take"u8, [(int)sent.DangerousGetHandle()]);
        using var near = Map(sent);
        near.Write(100, 42);

        Span<int> descriptors = stackalloc int[1];
        var received = pair.Far.ReceiveWithDescriptors(new byte[8], descriptors, out var count);
        using var file = new SafeFileHandle(descriptors[0], ownsHandle: true);
        using var far = Map(file);

        Assert.Equal(4, received);
        Assert.Equal(1, count);
        Assert.Equal(42, far.ReadInt32(100));
        Assert.True(MemoryFile.IsSizeSealed(file));
    }

    [Fact]
    public void A_memory_file_cannot_change_its_size()
    {
        using var file = MemoryFile.Create(MemoryName, 4096);
        Assert.ThrowsAny<Exception>(() => RandomAccess.SetLength(file, 0));
        Assert.Equal(4096, RandomAccess.GetLength(file));
    }

    [Fact]
    public void An_ordinary_file_is_not_sealed()
    {
        var path = Path.GetTempFileName();
        using (var file = File.OpenHandle(path))
        {
            Assert.False(MemoryFile.IsSizeSealed(file));
        }

        File.Delete(path);
    }

    [Fact]
    public void Descriptors_that_do_not_fit_are_closed()
    {
        using var pair = new SocketPair(isUnix: true);
        using var file = MemoryFile.Create(MemoryName, 4096);
        var before = OpenDescriptors();
        pair.Near.SendWithDescriptors("x"u8, Enumerable.Repeat((int)file.DangerousGetHandle(), 64).ToArray());
        Span<int> descriptors = stackalloc int[3];
        _ = pair.Far.ReceiveWithDescriptors(new byte[1], descriptors, out var count);

        Assert.Equal(3, count);
        Assert.Equal(before + 3, OpenDescriptors());
        foreach (var descriptor in descriptors)
        {
            new SafeFileHandle(descriptor, ownsHandle: true).Dispose();
        }

        Assert.Equal(before, OpenDescriptors());
    }

    [Fact]
    public void Bytes_without_descriptors_bring_none()
    {
        using var pair = new SocketPair(isUnix: true);
        pair.Near.SendWithDescriptors("plain"u8, []);
        var received = pair.Far.ReceiveWithDescriptors(new byte[8], new int[4], out var count);

        Assert.Equal((5, 0), (received, count));
    }

    [Fact]
    public void More_than_sixty_four_descriptors_are_refused()
    {
        using var pair = new SocketPair(isUnix: true);
        Assert.Throws<ArgumentOutOfRangeException>(() => pair.Near.SendWithDescriptors("x"u8, new int[65]));
        Assert.Throws<ArgumentOutOfRangeException>(() => pair.Near.SendWithDescriptors([], new int[1]));
    }

    [Fact]
    public async Task Bytes_beyond_the_first_write_follow_the_descriptors()
    {
        using var pair = new SocketPair(isUnix: true, new StreamSocketOptions { SendBufferBytes = 16 * 1024, StallLimit = Eventually.Patience });
        using var file = MemoryFile.Create(MemoryName, 4096);
        var sending = Eventually.Run(() => pair.Near.SendWithDescriptors(new byte[1 << 20], [(int)file.DangerousGetHandle()]));
        var total = await Eventually.Run(() =>
        {
            var descriptors = new int[1];
            var buffer = new byte[4096];
            var sum = pair.Far.ReceiveWithDescriptors(buffer, descriptors, out var count);
            Assert.Equal(1, count);
            new SafeFileHandle(descriptors[0], ownsHandle: true).Dispose();
            while (sum < 1 << 20)
            {
                sum += pair.Far.Receive(buffer);
            }

            return sum;
        }).Within("1 MiB");
        await sending.Within("the end of the send");

        Assert.Equal(1 << 20, total);
    }

    // Only descriptors of memory files: other tests of this process open and close their own meanwhile.
    private static int OpenDescriptors() => Directory.GetFiles("/proc/self/fd")
        .Count(link => new FileInfo(link).LinkTarget?.Contains(MemoryName, StringComparison.Ordinal) == true);

    private static MemoryMappedViewAccessor Map(SafeFileHandle file)
    {
        using var mapping = MemoryMappedFile.CreateFromFile(file, null, 4096, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        return mapping.CreateViewAccessor();
    }
}
