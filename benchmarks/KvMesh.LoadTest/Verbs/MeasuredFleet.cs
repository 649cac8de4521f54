using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Runtime.CompilerServices;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Placement;

namespace KvMesh.LoadTest.Verbs;

/// <summary>
/// A fleet as its scheduler meets it: a view, a block map, and nodes that answer at once, each in the bytes of the wire, which the scheduler's side reads. Nodes carry
/// orders out as they get them. Everything follows from a seed.
/// </summary>
internal sealed class MeasuredFleet : IPlacementCalls, IClusterViews, IPlacementNode, INodeBlocks, IDirectoryClient, IDisposable
{
    public const string Tenant = "default";
    public const int Prefixes = 4096;

    /// <summary>Blocks of a prefix, from the shortest to the longest.</summary>
    public const int LeastBlocks = 16;
    public const int MostBlocks = 128;

    private const long BlockBytes = 2L << 20;
    private const int MostHolders = 3;
    private const int Seed = 20_261_122;

    private readonly DigestSecret _secret = new(0x0123456789abcdef, 0xfedcba9876543210);
    private readonly BlockScope _scope = new("meta-llama/Llama-3.1-70B-Instruct", "main", new byte[32], 0);
    private readonly Meter _meter = new("load test");
    private readonly BlockMap _map = new(new BlockMapOptions());
    private readonly Dictionary<NodeId, byte[]> _reports = [];
    private readonly ReadOnlyMemory<byte>[][] _chains = new ReadOnlyMemory<byte>[Prefixes][];
    private readonly Dictionary<string, int> _byTail = new(StringComparer.Ordinal);
    private readonly int _reportRequestBytes;
    private long _bytes;
    private long _calls;

    public MeasuredFleet(int nodes)
    {
        var random = new Random(Seed);
        var records = Enumerable.Range(0, nodes).Select(index => new NodeRecord
        {
            Id = NodeId.Parse(string.Create(CultureInfo.InvariantCulture, $"node-{index:0000}")),
            Incarnation = 1,
            NativeAddress = string.Create(CultureInfo.InvariantCulture, $"10.0.{index / 250}.{index % 250}:8601"),
            Machine = string.Create(CultureInfo.InvariantCulture, $"machine-{index:0000}"),
        }).ToImmutableArray();
        Current = new ClusterView(1, records, isFrozen: false) { Identity = new ClusterIdentity("bench", _secret, DateTimeOffset.UnixEpoch) };
        var numbers = records.Select(_map.Join).ToArray();
        Locator = new BlockLocator(_map, this, new MapMetrics(_map, _meter))
        {
            Role = new DirectoryRole(SlotAssignment.Of(new ClusterView(1, [records[0]], isFrozen: false)), _secret, SlotSet.All(), numbers[0]),
            Complete = SlotSet.All(),
        };
        Fill(random, numbers);
        foreach (var record in records)
        {
            _reports.Add(record.Id, Frame(Verb.NodeReport, Report(random).Write));
        }

        _reportRequestBytes = Frame(Verb.NodeReport, new NodeReportRequest(1, false).Write).Length;
    }

    public BlockLocator Locator { get; }

    public NodeId Self => Current.Nodes[0].Id;

    public ClusterView Current { get; }

    /// <summary>Bytes of questions and answers so far, and how many there were.</summary>
    public (long Bytes, long Calls) Traffic => (Interlocked.Read(ref _bytes), Interlocked.Read(ref _calls));

    public IReadOnlyList<string> Tenants => [Tenant];

    public (long CapacityBytes, long FreeBytes) Room => (64L << 30, 16L << 30);

    public (long Bytes, TimeSpan Time) Served => default;

    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask.ConfigureAwait(false);
        yield return Current;
    }

    public ValueTask<NodeReport> ReportAsync(NodeRecord node, NodeReportRequest request, TimeSpan limit, CancellationToken cancellationToken)
    {
        var frame = _reports[node.Id];
        Count(_reportRequestBytes + frame.Length);
        return ValueTask.FromResult(NodeReport.TryRead(HeadOf(frame), out var report) ? report : throw new LoadTestException("A report cannot be read."));
    }

    public ValueTask<OrderAnswer> GiveAsync(NodeRecord node, OrderGiveRequest request, TimeSpan limit, CancellationToken cancellationToken)
    {
        Count(Frame(Verb.OrderGive, request.Write).Length + 64);
        var number = _map.NumberOf(node.Id);
        foreach (var key in request.Keys)
        {
            _map.Set(HolderMap.TailOf(_secret, Tenant, key.Span), number, 1, BlockBytes);
        }

        return ValueTask.FromResult(new OrderAnswer(OrderVerdict.Taken, request.Token));
    }

    public ValueTask<OrderAnswer> CancelAsync(NodeRecord node, OrderCancelRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        ValueTask.FromResult(new OrderAnswer(OrderVerdict.Taken, request.Token));

    public ValueTask<IReadOnlyList<OrderProgress>> ProgressAsync(NodeRecord node, OrderProgressRequest request, TimeSpan limit, CancellationToken cancellationToken)
    {
        OrderProgress[] progress = [.. request.Ids.Select(id => new OrderProgress(id, 3, 1, BlockBytes, ""))];
        Count(Frame(Verb.OrderProgress, request.Write).Length + Frame(Verb.OrderProgress, writer => OrderProgress.WriteAll(writer, progress)).Length);
        return ValueTask.FromResult<IReadOnlyList<OrderProgress>>(progress);
    }

    public ValueTask<ChainAnswer> ChainAsync(NodeRecord node, ChainRequest request, TimeSpan limit, CancellationToken cancellationToken)
    {
        var chain = _chains[_byTail[Convert.ToHexString(request.Tail.Span)]];
        var answer = new ChainAnswer(chain[Math.Max(0, chain.Length - request.MostBlocks)..], chain.Length * BlockBytes);
        var frame = Frame(Verb.Chain, answer.Write);
        Count(Frame(Verb.Chain, request.Write).Length + frame.Length);
        return ValueTask.FromResult(ChainAnswer.TryRead(HeadOf(frame), out var read) ? read : throw new LoadTestException("A chain cannot be read."));
    }

    public ValueTask<HoldAnswer> HoldAsync(NodeRecord node, HoldRequest request, TimeSpan limit, CancellationToken cancellationToken) =>
        ValueTask.FromResult(LetGo(request));

    public ValueTask<DrainAnswer> DrainAsync(NodeRecord node, DrainRequest request, TimeSpan limit, CancellationToken cancellationToken) => throw Unexpected();

    public ValueTask<LeavingRun> LeavingAsync(NodeRecord node, LeavingRequest request, TimeSpan limit, CancellationToken cancellationToken) => throw Unexpected();

    public ValueTask<ReadOnlyMemory<byte>?> DeskAsync(NodeRecord node, DeskRequest request, TimeSpan limit, CancellationToken cancellationToken) => throw Unexpected();

    NodeReport IPlacementNode.Report(NodeReportRequest request) =>
        NodeReport.TryRead(HeadOf(_reports[Self]), out var report) ? report : throw new LoadTestException("A report cannot be read.");

    OrderAnswer IPlacementNode.Give(OrderGiveRequest request) => new(OrderVerdict.Taken, request.Token);

    OrderAnswer IPlacementNode.Cancel(OrderCancelRequest request) => new(OrderVerdict.Taken, request.Token);

    IReadOnlyList<OrderProgress> IPlacementNode.Progress(OrderProgressRequest request) => [.. request.Ids.Select(id => new OrderProgress(id, 3, 1, BlockBytes, ""))];

    ChainAnswer IPlacementNode.Chain(ChainRequest request)
    {
        var chain = _chains[_byTail[Convert.ToHexString(request.Tail.Span)]];
        return new ChainAnswer(chain[Math.Max(0, chain.Length - request.MostBlocks)..], chain.Length * BlockBytes);
    }

    HoldAnswer IPlacementNode.Hold(HoldRequest request) => LetGo(request);

    DrainAnswer IPlacementNode.Drain(DrainRequest request) => throw Unexpected();

    LeavingRun IPlacementNode.Leaving(LeavingRequest request) => throw Unexpected();

    bool INodeBlocks.TryFind(string tenant, ReadOnlySpan<byte> key, out long bytes)
    {
        bytes = 0;
        return false;
    }

    bool INodeBlocks.TryFetch(string tenant, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> parent, Action<BlockArrival, long> completed) => false;

    long INodeBlocks.ListChain(string tenant, ReadOnlySpan<byte> tail, int most, List<ReadOnlyMemory<byte>> keys) => 0;

    void INodeBlocks.KeepLossless(string tenant, ReadOnlySpan<byte> tail, int most)
    {
        // These nodes have no codecs: nothing of theirs loses anything.
    }

    BlockHold INodeBlocks.Hold(string tenant, ReadOnlySpan<byte> key, TimeSpan duration) => BlockHold.Missing;

    long INodeBlocks.Scan(string tenant, long cursor, List<LocalBlock> page) => 0;

    bool IDirectoryClient.Locate(
        SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, BlockMap map, TimeSpan limit) => throw Unexpected();

    bool IDirectoryClient.LocateAll(
        SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, HolderLists holders, BlockMap map, TimeSpan limit) => throw Unexpected();

    public void Dispose()
    {
        _map.Dispose();
        _meter.Dispose();
    }

    private static ReadOnlySpan<byte> HeadOf(byte[] frame)
    {
        FrameHeader.TryRead(frame, out var header);
        return frame.AsSpan(FrameHeader.Bytes, header.HeadBytes);
    }

    private static byte[] Frame(Verb verb, Action<FrameWriter> write)
    {
        var writer = new FrameWriter();
        writer.Begin(verb, 1, FrameFlags.Response);
        write(writer);
        writer.End(NativeStatus.Ok);
        return writer.Pending.ToArray();
    }

    /// <summary>Nothing is pinned in this fleet: a scheduler begins with telling every node so, and says no more.</summary>
    private static HoldAnswer LetGo(HoldRequest request) => request.EndsEarlier ? new HoldAnswer(OrderVerdict.Taken, 0, request.Token) : throw Unexpected();

    private static LoadTestException Unexpected() => new("The scheduler asked what nobody in this fleet should be asked.");

    /// <summary>Chains, and one to three nodes that hold all of each.</summary>
    private void Fill(Random random, ushort[] numbers)
    {
        var hash = new byte[32];
        for (var prefix = 0; prefix < Prefixes; prefix++)
        {
            _chains[prefix] = new ReadOnlyMemory<byte>[random.Next(LeastBlocks, MostBlocks + 1)];
            var holders = Enumerable.Range(0, random.Next(1, MostHolders + 1)).Select(_ => numbers[random.Next(numbers.Length)]).Distinct().ToArray();
            for (var block = 0; block < _chains[prefix].Length; block++)
            {
                random.NextBytes(hash);
                _chains[prefix][block] = _scope.KeyOf(hash);
                var digest = HolderMap.TailOf(_secret, Tenant, _chains[prefix][block].Span);
                foreach (var holder in holders)
                {
                    _map.Set(digest, holder, 1, BlockBytes);
                }
            }

            _byTail.Add(Convert.ToHexString(_chains[prefix][^1].Span), prefix);
        }
    }

    /// <summary>As many wanted prefixes as a report may have, the popular ones on most nodes.</summary>
    private NodeReport Report(Random random)
    {
        var wanted = new HashSet<int>();
        while (wanted.Count < PlacementLimits.MaxWanted)
        {
            wanted.Add((int)Math.Min(Prefixes - 1, Math.Exp(random.NextDouble() * Math.Log(Prefixes))));
        }

        return new NodeReport
        {
            HighestToken = 1,
            CapacityBytes = 64L << 30,
            FreeBytes = 16L << 30,
            InBytesPerSecond = 1L << 30,
            OutBytesPerSecond = 1L << 30,
            Utilisation = random.NextDouble() / 2,
            Wanted = [.. wanted.Select(prefix => new WantedTail(
                Tenant, _chains[prefix][^1], _chains[prefix].Length, _chains[prefix].Length * BlockBytes, 20.0 / (prefix + 1)))],
        };
    }

    private void Count(int bytes)
    {
        Interlocked.Add(ref _bytes, bytes);
        Interlocked.Increment(ref _calls);
    }
}
