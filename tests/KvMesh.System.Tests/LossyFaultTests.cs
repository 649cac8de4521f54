using KvMesh.LoadTest.Faults;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.System.Tests;

/// <summary>Nodes that keep blocks in four bits, in RAM, on disk and in Redis, when things go wrong: nobody gets bytes that nobody wrote.</summary>
[Trait("Category", "System")]
public sealed class LossyFaultTests : IDisposable
{
    private const int Kills = 3;

    private readonly TemporaryDirectory _files = new();
    private readonly NodeFolders _folders = new();
    private readonly NodeFolders _others = new();
    private readonly LossyWorkload _workload = new();

    public void Dispose()
    {
        _folders.Dispose();
        _others.Dispose();
        _files.Dispose();
    }

    [Fact]
    public async Task A_killed_node_gives_what_was_written_or_what_its_encoding_decodes_to()
    {
        Configure(_folders);
        var random = new Random(7);
        for (var kill = 0; kill < Kills; kill++)
        {
            await using var node = await NodeProcess.StartAsync(_folders, "--arena", "8MiB", "--disk", "256MiB");
            await _workload.ReadAllAsync(node.Addresses.NativeEndpoint);
            using var stop = new CancellationTokenSource();
            var running = _workload.RunAsync(node.Addresses.NativeEndpoint, seed: 10 * kill, stop.Token);
            await GoesOnAsync(hasLossless: true);
            var answers = _workload.Answers + random.Next(200);
            await Eventually.Holds(() => _workload.Answers >= answers, "a moment for the kill");
            await node.Process.KillAsync();
            await stop.CancelAsync();
            await running.Within("the end of the readers of a killed node");
        }

        await using var last = await NodeProcess.StartAsync(_folders, "--arena", "8MiB", "--disk", "256MiB");
        var hits = await _workload.ReadAllAsync(last.Addresses.NativeEndpoint);

        _workload.AssertNoneWrong();
        Assert.InRange(hits, 1, int.MaxValue);
    }

    [Fact]
    public async Task On_a_full_disk_lossy_blocks_stay_what_they_are()
    {
        Configure(_folders);
        _folders.Environment["KVMESH_Engine__Disk__SegmentBytes"] = "1MiB";
        await using var volume = await SmallVolume.CreateAsync(_folders.Data);
        _folders.Launcher = [.. volume.Program, "dotnet"];
        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "8MiB", "--disk", "24MiB");
        using var stop = new CancellationTokenSource();
        var running = _workload.RunAsync(node.Addresses.NativeEndpoint, seed: 1, stop.Token);
        await GoesOnAsync(hasLossless: true);

        await volume.FillAsync(node.Process.Id);
        await GoesOnAsync(hasLossless: false);
        await _workload.ReadAllAsync(node.Addresses.NativeEndpoint);
        await volume.EmptyAsync(node.Process.Id);
        await GoesOnAsync(hasLossless: false);

        await stop.CancelAsync();
        await running.Within("the end of the readers");
        _workload.AssertNoneWrong();
        Assert.Equal(0, _workload.Failures);
        Assert.Equal(0, await node.StopAsync());
    }

    [Fact]
    public async Task A_hung_Redis_with_lossy_blocks_costs_misses_only()
    {
        await using var redis = await RestartableRedis.StartAsync();
        foreach (var folders in new[] { _folders, _others })
        {
            Configure(folders);
            folders.Environment["KVMESH_Mesh__RedisBlocks__Address"] = redis.Address;
            folders.Environment["KVMESH_Codecs__Redis"] = TensorBlocks.Codec;
            folders.Environment["KVMESH_Mesh__RedisBlocks__EncodeShare"] = "1";
        }

        await using var node = await NodeProcess.StartAsync(_folders, "--arena", "8MiB");
        await using var other = await NodeProcess.StartAsync(_others, "--arena", "8MiB");
        using var stop = new CancellationTokenSource();
        var running = _workload.RunAsync(node.Addresses.NativeEndpoint, seed: 1, stop.Token);
        await GoesOnAsync(hasLossless: false);
        await Eventually.Holds(async () => await _workload.ReadAllAsync(other.Addresses.NativeEndpoint) > 0, "blocks that the other node has from Redis");

        await redis.SignalAsync("STOP");
        await GoesOnAsync(hasLossless: false);
        await _workload.ReadAllAsync(other.Addresses.NativeEndpoint);
        await redis.SignalAsync("CONT");
        await GoesOnAsync(hasLossless: false);
        await _workload.ReadAllAsync(other.Addresses.NativeEndpoint);

        await stop.CancelAsync();
        await running.Within("the end of the readers");
        _workload.AssertNoneWrong();
        Assert.Equal(0, _workload.Failures);
    }

    private void Configure(NodeFolders folders)
    {
        TensorBlocks.Describe(folders, Path.Combine(_files.Path, "layouts.json"));
        folders.Environment["KVMESH_Codecs__Host"] = folders.Environment["KVMESH_Codecs__Disk"] = TensorBlocks.Codec;
        folders.Environment["KVMESH_Engine__HostCoding__EncodeShare"] = folders.Environment["KVMESH_Engine__Disk__EncodeShare"] = "1";
    }

    /// <summary>Waits for further answers, some of which lost something.</summary>
    private Task GoesOnAsync(bool hasLossless)
    {
        var (answers, lossy, lossless) = (_workload.Answers + 200, _workload.Lossy, _workload.Lossless);
        return Eventually.Holds(
            () => Task.FromResult(_workload.Answers > answers && _workload.Lossy > lossy && (!hasLossless || _workload.Lossless > lossless)),
            () => $"further answers, lossy ones among them, after {answers - 200}, {lossy} and {lossless}: {_workload}");
    }
}
