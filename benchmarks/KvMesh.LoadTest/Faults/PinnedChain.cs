using KvMesh.Client;
using KvMesh.Client.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults;

/// <summary>A sequence whose blocks are promised on two nodes: as long as one of them is there, every block is readable.</summary>
internal sealed class PinnedChain
{
    private const int Blocks = 8;
    private const int Copies = 2;
    private const long FirstBlock = 1L << 32;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private static long _chains;

    private readonly FaultBench _bench;
    private readonly string _name;
    private readonly long _first;

    private PinnedChain(FaultBench bench, long number)
    {
        _bench = bench;
        _name = $"pinned-{number}";
        _first = FirstBlock + (number * Blocks);
    }

    /// <summary>Writes the blocks on one node, pins them, and waits until the promise is made.</summary>
    public static async Task<PinnedChain> HoldAsync(FaultBench bench, NodeTarget writer)
    {
        var chain = new PinnedChain(bench, Interlocked.Increment(ref _chains));
        await using var client = await ConnectAsync(writer);
        await chain.PinAsync(client, await chain.PutMissingAsync(client));
        await chain.IsHeldAsync(client, () => chain.PutMissingAsync(client));
        return chain;
    }

    /// <summary>Waits until the promise is in force, as a node tells it.</summary>
    public async Task IsHeldAsync(NodeTarget asked)
    {
        await using var client = await ConnectAsync(asked);
        await IsHeldAsync(client, () => Task.FromResult(0L));
    }

    /// <summary>Waits until every block comes from this node, and checks each byte.</summary>
    public async Task IsReadableAsync(NodeTarget reader)
    {
        await using var client = await ConnectAsync(reader);
        var buffer = new byte[PutLedger.MaxPayloadBytes];
        for (var block = _first; block < _first + Blocks; block++)
        {
            var wanted = block;
            GetResult result = default;
            await MeshPicture.ExplainAsync(_bench.Mesh, KeyOf(wanted), () => Eventually.Holds(
                async () => (result = await client.GetAsync(ChainRequests.Scope, ChainRequests.HashOf(wanted), buffer, CancellationToken.None)).IsHit,
                () => $"block {wanted - _first} of {_name} at {reader.Name}; the last get was a {result.Status}"));
            if (_bench.Workload.Ledger.Judge(block, buffer.AsSpan(0, result.Bytes)) is { } wrong)
            {
                _bench.Workload.Traffic.Wrong($"{reader.Name}, pinned: {wrong}");
            }
        }
    }

    private static byte[] KeyOf(long block) => [.. ChainRequests.Scope.Bytes.Span, .. ChainRequests.HashOf(block)];

    private static Task<KvMeshClient> ConnectAsync(NodeTarget node) => KvMeshClient.ConnectAsync(
        new ClientOptions { Endpoint = node.NativeEndpoint, AllowSharedMemory = false, Connections = 1, RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience },
        CancellationToken.None).AsTask();

    /// <param name="client">Asks its node.</param>
    /// <param name="remind">Is done between two looks.</param>
    private async Task IsHeldAsync(KvMeshClient client, Func<Task<long>> remind)
    {
        var pin = default(PinStatus);
        await MeshPicture.ExplainAsync(_bench.Mesh, KeyOf(_first), () => Eventually.Holds(
            async () =>
            {
                pin = (await client.Sequences.FindAsync(_name, CancellationToken.None)).Sequence?.Pin ?? pin;
                if (pin is { State: PinState.Held, Copies: Copies })
                {
                    return true;
                }

                await remind();
                await Task.Delay(Pause, CancellationToken.None);
                return false;
            },
            () => $"{_name} held in {Copies} copies; it is {pin.State} in {pin.Copies}"));
    }

    /// <summary>Puts what the node does not have: until a pin is held, nothing keeps its blocks from leaving. Returns the bytes of all blocks.</summary>
    private async Task<long> PutMissingAsync(KvMeshClient client)
    {
        long bytes = 0;
        for (var block = _first; block < _first + Blocks; block++)
        {
            var payload = new byte[PutLedger.PayloadBytes(block)];
            bytes += payload.Length;
            if ((await client.GetAsync(ChainRequests.Scope, ChainRequests.HashOf(block), payload, CancellationToken.None)).IsHit)
            {
                continue;
            }

            var number = _bench.Workload.Ledger.Begin(block, payload);
            ReadOnlyMemory<byte> parent = block == _first ? ReadOnlyMemory<byte>.Empty : ChainRequests.HashOf(block - 1);
            var status = await client.PutAsync(ChainRequests.Scope, ChainRequests.HashOf(block), parent, payload, CancellationToken.None);
            if (status is not (PutStatus.Stored or PutStatus.AlreadyPresent))
            {
                throw new LoadTestException($"A block that is to be pinned was put and ended as {status}.");
            }

            _bench.Workload.Ledger.End(block, number, status == PutStatus.Stored ? PutEnd.Acknowledged : PutEnd.Open);
        }

        return bytes;
    }

    private async Task PinAsync(KvMeshClient client, long bytes)
    {
        var opened = await DecideAsync(client, new OpenSequence { RequestId = 1, Scope = ChainRequests.Scope.Bytes, Holder = "pinning" });
        var epoch = opened.Sequence?.Epoch ?? throw new LoadTestException($"{_name} was opened and ended as {opened.Refusal}: {opened.Text}");
        var segment = new AppendSegment
        {
            RequestId = 2,
            Epoch = epoch,
            Blocks = Blocks,
            Tokens = Blocks * 16,
            Bytes = (ulong)bytes,
            FirstHash = new BlockHash(ChainRequests.HashOf(_first)),
            LastHash = new BlockHash(ChainRequests.HashOf(_first + Blocks - 1)),
        };
        var appended = await DecideAsync(client, segment);
        var until = TimeProvider.System.GetUtcNow().AddHours(1).ToUnixTimeMilliseconds();
        var pinned = await DecideAsync(client, new PinSequence { RequestId = 3, Epoch = epoch, Replicas = Copies, Until = until });
        if (!appended.IsOk || !pinned.IsOk)
        {
            throw new LoadTestException($"{_name} was to be pinned: {appended.Refusal} {appended.Text}, {pinned.Refusal} {pinned.Text}");
        }
    }

    /// <summary>Sends a command under its request id until the node has decided it: Redis may be late to a node on a busy machine.</summary>
    private async Task<SequenceResult> DecideAsync(KvMeshClient client, SequenceCommand command)
    {
        SequenceResult result = null!;
        await Eventually.Holds(
            async () => (result = await client.Sequences.ExecuteAsync(_name, command, CancellationToken.None)).Refusal is not (SequenceRefusal.Unavailable or SequenceRefusal.Busy),
            () => $"an answer to {command.GetType().Name} for {_name}; the last: {result.Refusal}, {result.Text}");
        return result;
    }
}
