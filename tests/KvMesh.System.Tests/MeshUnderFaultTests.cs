using KvMesh.LoadTest.Faults;
using Xunit.Abstractions;

namespace KvMesh.System.Tests;

/// <summary>
/// Three nodes and a real redis-server under faults, while a workload verifies every byte that it reads and every step of its sessions. The same
/// faults at full length are the verb <c>faults</c> of the LoadTest, and the trait Soak here.
/// </summary>
public abstract class MeshUnderFaultTests(MeshUnderFaultTests.Bench bench, ITestOutputHelper output)
{
    public static TheoryData<string> Words { get; } = [.. AllFaults.Words];

    public static TheoryData<string> Partitions { get; } = [.. AllFaults.Partitions];

    /// <summary>Those that continuous integration has time for: both directions, and one.</summary>
    public static TheoryData<string> ShortPartitions { get; } = [.. AllFaults.Partitions.Take(2)];

    /// <summary>Lets the fault happen and asserts what must hold under each.</summary>
    protected async Task HoldsUnder(string word)
    {
        var (row, complaints, isAlive) = await bench.RunAsync(word);

        output.WriteLine(FaultRow.Head + row + row.Remark);
        Assert.True(row.Counts is { Wrong: 0, Errors: 0 }, $"{row.Counts}: {string.Join("; ", complaints)}");
        Assert.True(row.Counts is { Hits: > 0, Steps: > 0 }, $"{row.Counts}; the run proves nothing");
        Assert.True(isAlive, "a node has ended");
        Assert.True(row.Recovery <= bench.Settings.RecoveryLimit, $"the clients of the nodes that were hit fared as before after {row.Recovery.TotalSeconds:0.0} s");
    }

    /// <summary>A mesh and its workload for all faults of a class, made anew after one that failed.</summary>
    public abstract class Bench : IAsyncLifetime
    {
        private FaultMesh? _mesh;
        private VerifyingWorkload? _workload;
        private FaultBench? _bench;

        internal abstract FaultSettings Settings { get; }

        private protected virtual Task<FaultMesh> StartMeshAsync() => FaultMesh.StartAsync();

        public Task InitializeAsync() => Task.CompletedTask;

        public async Task DisposeAsync()
        {
            try
            {
                await (_workload?.DisposeAsync() ?? ValueTask.CompletedTask);
            }
            finally
            {
                await (_mesh?.DisposeAsync() ?? ValueTask.CompletedTask);
                (_bench, _workload, _mesh) = (null, null, null);
            }
        }

        internal async Task<(FaultRow Row, IReadOnlyList<string> Complaints, bool IsAlive)> RunAsync(string word)
        {
            _mesh ??= await StartMeshAsync();
            _workload ??= await VerifyingWorkload.StartAsync(_mesh.Targets, () => _mesh.DataLosses, Settings);
            _bench ??= new FaultBench(_mesh, _workload, Settings);
            try
            {
                await using var fault = AllFaults.Create(word);
                var row = await FaultRunner.RunAsync(fault, _bench);
                return (row, _workload.Traffic.Complaints, _mesh.Nodes.All(node => node.IsRunning));
            }
            catch
            {
                // What is left of the mesh would fail every fault that follows. Without nodes no caller waits for an answer.
                await _mesh.DisposeAsync();
                await _workload.AbandonAsync();
                (_bench, _workload, _mesh) = (null, null, null);
                throw;
            }
        }
    }
}

/// <summary>Each fault for a few seconds.</summary>
[Trait("Category", "System")]
public sealed class MeshUnderShortFaultTests(MeshUnderShortFaultTests.ShortBench bench, ITestOutputHelper output)
    : MeshUnderFaultTests(bench, output), IClassFixture<MeshUnderShortFaultTests.ShortBench>
{
    [Theory]
    [MemberData(nameof(Words))]
    public Task No_wrong_byte_and_no_error_under(string fault) => HoldsUnder(fault);

    public sealed class ShortBench : Bench
    {
        internal override FaultSettings Settings => FaultSettings.Short;
    }
}

/// <summary>Each fault for as long as operators meet it.</summary>
[Trait("Category", "Soak")]
public sealed class MeshUnderFaultSoakTests(MeshUnderFaultSoakTests.LongBench bench, ITestOutputHelper output)
    : MeshUnderFaultTests(bench, output), IClassFixture<MeshUnderFaultSoakTests.LongBench>
{
    [Theory]
    [MemberData(nameof(Words))]
    public Task No_wrong_byte_and_no_error_under(string fault) => HoldsUnder(fault);

    public sealed class LongBench : Bench
    {
        internal override FaultSettings Settings => FaultSettings.Long with { RequestTimeout = TimeSpan.FromSeconds(60) };
    }
}

/// <summary>A partition for a few seconds: in network namespaces where the machine grants them, else with proxies, which the output tells.</summary>
[Trait("Category", "System")]
public sealed class MeshInShortPartitionTests(MeshInShortPartitionTests.ShortBench bench, ITestOutputHelper output)
    : MeshUnderFaultTests(bench, output), IClassFixture<MeshInShortPartitionTests.ShortBench>
{
    [Theory]
    [MemberData(nameof(ShortPartitions))]
    public Task No_wrong_byte_and_no_error_under(string fault) => HoldsUnder(fault);

    public sealed class ShortBench : Bench
    {
        internal override FaultSettings Settings => FaultSettings.Short;

        private protected override Task<FaultMesh> StartMeshAsync() => FaultMesh.StartApartAsync();
    }
}

/// <summary>Each partition for half a minute.</summary>
[Trait("Category", "Soak")]
public sealed class MeshInPartitionSoakTests(MeshInPartitionSoakTests.LongBench bench, ITestOutputHelper output)
    : MeshUnderFaultTests(bench, output), IClassFixture<MeshInPartitionSoakTests.LongBench>
{
    [Theory]
    [MemberData(nameof(Partitions))]
    public Task No_wrong_byte_and_no_error_under(string fault) => HoldsUnder(fault);

    public sealed class LongBench : Bench
    {
        internal override FaultSettings Settings => FaultSettings.Long with { RequestTimeout = TimeSpan.FromSeconds(60) };

        private protected override Task<FaultMesh> StartMeshAsync() => FaultMesh.StartApartAsync();
    }
}
