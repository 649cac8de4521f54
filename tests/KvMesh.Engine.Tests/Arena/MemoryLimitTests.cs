using KvMesh.Engine.Arena;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Arena;

/// <summary>What limits memory, as kernels say it.</summary>
public sealed class MemoryLimitTests : IDisposable
{
    private readonly TemporaryDirectory _root = new();

    public MemoryLimitTests() => Write("proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n");

    public void Dispose() => _root.Dispose();

    [Fact]
    public void Without_groups_the_machine_limits()
    {
        Assert.Equal(new MemoryLimit(8_000_000L * 1024, "the machine"), MemoryLimit.Read(_root.Path));

        Write("proc/self/cgroup", "0::/system.slice/kvmesh.service\n");
        Write("sys/fs/cgroup/system.slice/kvmesh.service/memory.max", "max\n");
        Write("sys/fs/cgroup/system.slice/kvmesh.service/memory.current", "1000\n");
        Assert.Equal("the machine", MemoryLimit.Read(_root.Path).Owner);
    }

    [Fact]
    public void A_group_of_version_2_limits_and_so_does_one_around_it()
    {
        Write("proc/self/cgroup", "0::/pods/kvmesh\n");
        Group("sys/fs/cgroup/pods/kvmesh", "memory.max", 1000, "memory.current", 900, "inactive_file 100\nactive_file 50\nshmem 700\n");
        Assert.Equal(new MemoryLimit(250, "the control group /pods/kvmesh"), MemoryLimit.Read(_root.Path));

        Group("sys/fs/cgroup/pods", "memory.max", 2000, "memory.current", 1990, "inactive_file 0\n");
        Assert.Equal(new MemoryLimit(10, "the control group /pods"), MemoryLimit.Read(_root.Path));
    }

    [Fact]
    public void A_group_of_version_1_limits_also_when_only_the_mounted_folder_is_seen()
    {
        Write("proc/self/cgroup", "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n");
        Group("sys/fs/cgroup/memory", "memory.limit_in_bytes", 5000, "memory.usage_in_bytes", 1000, "total_inactive_file 20\ntotal_active_file 3\ninactive_file 9\n");

        Assert.Equal(new MemoryLimit(4023, "the control group /"), MemoryLimit.Read(_root.Path));

        Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        Assert.Equal("the machine", MemoryLimit.Read(_root.Path).Owner);
    }

    [Theory]
    [InlineData("")]
    [InlineData("nonsense")]
    [InlineData("4:memory")]
    [InlineData("0::")]
    public void What_cannot_be_read_limits_nothing(string groups)
    {
        Write("proc/self/cgroup", groups);
        Write("sys/fs/cgroup/memory.max", "");
        Write("sys/fs/cgroup/memory.current", "many");

        Assert.Equal("the machine", MemoryLimit.Read(_root.Path).Owner);
    }

    [Fact]
    public void This_machine_says_something()
    {
        Assert.InRange(MemoryLimit.Read().AvailableBytes, 1, long.MaxValue);
    }

    private void Group(string folder, string limitFile, long limit, string usageFile, long usage, string statistics)
    {
        Write(Path.Combine(folder, limitFile), $"{limit}\n");
        Write(Path.Combine(folder, usageFile), $"{usage}\n");
        Write(Path.Combine(folder, "memory.stat"), statistics);
    }

    private void Write(string path, string content)
    {
        var full = Path.Combine(_root.Path, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
    }
}
