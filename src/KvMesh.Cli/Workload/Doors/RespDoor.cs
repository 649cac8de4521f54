using System.Net;
using System.Net.Sockets;
using KvMesh.Protocol;

namespace KvMesh.Cli.Workload.Doors;

/// <summary>
/// RESP as LMCache's native client speaks it: eight connections with one command in flight on each; EXISTS in chain order until
/// the first 0, then GETs, then SETs, dealt to the connections in turn.
/// </summary>
internal sealed class RespDoor : IWorkloadDoor
{
    /// <summary>Connections that LMCache opens unless told otherwise.</summary>
    internal const int Lanes = 8;

    private readonly DnsEndPoint _endpoint;
    private readonly string? _token;
    private readonly TimeSpan _timeout;
    private readonly WorkloadKeys _keys;
    private readonly RespConnection?[] _lanes = new RespConnection?[Lanes];
    private readonly byte[][] _keyBuffers;

    private RespDoor(DnsEndPoint endpoint, string? token, TimeSpan timeout, WorkloadKeys keys)
    {
        _endpoint = endpoint;
        _token = token;
        _timeout = timeout;
        _keys = keys;
        _keyBuffers = [.. Enumerable.Range(0, Lanes).Select(_ => new byte[keys.RespKeyBytes])];
    }

    /// <exception cref="RespException">The node cannot be reached, or refuses the token.</exception>
    public static async ValueTask<RespDoor> OpenAsync(
        DnsEndPoint endpoint, string? token, TimeSpan timeout, WorkloadKeys keys, CancellationToken cancellationToken)
    {
        var door = new RespDoor(endpoint, token, timeout, keys);
        try
        {
            for (var lane = 0; lane < Lanes; lane++)
            {
                await door.LaneAsync(lane, cancellationToken);
            }

            return door;
        }
        catch
        {
            await door.DisposeAsync();
            throw;
        }
    }

    public async ValueTask<int> MatchAsync(ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken)
    {
        var count = hashes.Length / Limits.ChainHashBytes;
        for (var i = 0; i < count; i++)
        {
            var hash = hashes.Slice(i * Limits.ChainHashBytes, Limits.ChainHashBytes);
            var found = false;
            await OnLaneAsync(i % Lanes, hash, async (lane, key) => found = await lane.ExistsAsync(key, cancellationToken), cancellationToken);
            if (!found)
            {
                return i;
            }
        }

        return count;
    }

    public ValueTask ReadAsync(BlockBatch batch, CancellationToken cancellationToken) =>
        DealAsync(batch, (lane, key, index) => ReadOneAsync(batch, lane, key, index, cancellationToken), cancellationToken);

    public ValueTask WriteAsync(BlockBatch batch, CancellationToken cancellationToken) =>
        DealAsync(
            batch,
            async (lane, key, index) =>
            {
                await lane.SetAsync(key, batch.Payloads[index], cancellationToken);
                batch.Outcomes[index] = BlockOutcome.Done;
            },
            cancellationToken);

    public ValueTask DisposeAsync()
    {
        foreach (var lane in _lanes)
        {
            lane?.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    private static async Task ReadOneAsync(
        BlockBatch batch, RespConnection lane, ReadOnlyMemory<byte> key, int index, CancellationToken cancellationToken)
    {
        var slot = batch.SlotOf(index);
        var bytes = await lane.GetAsync(key, slot, cancellationToken);
        if (bytes < 0)
        {
            batch.Outcomes[index] = BlockOutcome.Skipped;
        }
        else
        {
            batch.Accept(index, slot.Span[..bytes]);
        }
    }

    /// <summary>Runs a step for each block: block i on lane i modulo 8, one after the other on each lane.</summary>
    private async ValueTask DealAsync(
        BlockBatch batch, Func<RespConnection, ReadOnlyMemory<byte>, int, Task> step, CancellationToken cancellationToken)
    {
        var lanes = new Task[Math.Min(Lanes, batch.Count)];
        for (var lane = 0; lane < lanes.Length; lane++)
        {
            lanes[lane] = RunLaneAsync(lane);
        }

        await Task.WhenAll(lanes);

        async Task RunLaneAsync(int lane)
        {
            for (var i = lane; i < batch.Count; i += Lanes)
            {
                var index = i;
                try
                {
                    await OnLaneAsync(lane, batch.HashOf(index), (connection, key) => step(connection, key, index), cancellationToken);
                }
                catch (IOException)
                {
                    batch.Outcomes[index] = BlockOutcome.Failed;
                }
            }
        }
    }

    private async ValueTask OnLaneAsync(
        int lane, ReadOnlyMemory<byte> hash, Func<RespConnection, ReadOnlyMemory<byte>, Task> step, CancellationToken cancellationToken)
    {
        var connection = await LaneAsync(lane, cancellationToken);
        var key = _keyBuffers[lane];
        _keys.WriteRespKey(hash.Span, key);
        try
        {
            await step(connection, key);
        }
        catch (Exception e)
        {
            // Whatever went wrong, the next reply on this connection could belong to this command.
            connection.Dispose();
            _lanes[lane] = null;
            if (e is SocketException)
            {
                throw new RespException(e.Message, e);
            }

            throw;
        }
    }

    private async ValueTask<RespConnection> LaneAsync(int lane, CancellationToken cancellationToken) =>
        _lanes[lane] ??= await RespConnection.ConnectAsync(_endpoint, _token, _timeout, cancellationToken);
}
