using System.Runtime.InteropServices;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers.Holders;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native.Holders;

/// <summary>
/// Serves workers that hold blocks in their own memory. One connection announces them, and what it announced ends with it; another one waits to be asked, since a connection's
/// requests are answered in order. Asks are answered by a put that names them, or declined.
/// </summary>
internal static class HolderHandler
{
    public static void Announce(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        var request = HolderAnnounceRequest.Read(ref reader);
        if (!exchange.Require(AccessRights.Write) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        if (keys.Form != KeyForm.Chain || request.Count != keys.Count)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"HolderAnnounce: {request.Count} lengths were given for {keys.Count} keys of form {keys.Form}; one for each key of a chain is possible.");
            return;
        }

        var lengths = MemoryMarshal.Cast<byte, uint>(request.Lengths);
        if (lengths.IndexOfAnyExceptInRange(1u, (uint)exchange.Services.Options.MaxBlockBytes) is var wrong and >= 0)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"HolderAnnounce: block {wrong} has {lengths[wrong]} bytes; 1 to {exchange.Services.Options.MaxBlockBytes} are possible.");
            return;
        }

        if ((exchange.Holding ??= exchange.Engine.OpenHolding(exchange.Tenant)) is not { } holding)
        {
            exchange.Refuse(NativeStatus.Unavailable, "HolderAnnounce: as many workers have announced blocks as may, Engine:FarTiers:MaxHolders of this node.");
            return;
        }

        exchange.ScopeNames.Use(keys.Scope);
        var status = holding.Announce(
            new KeyRun(keys.Scope, keys.Hashes), lengths, exchange.ScopeNames.Model, exchange.ScopeNames.Revision, request.Removals, out var removals);
        if (status == AnnounceStatus.TooMany)
        {
            exchange.Refuse(
                NativeStatus.LimitExceeded,
                $"HolderAnnounce: {holding.Blocks} blocks are announced and {keys.Count} would come; {holding.MaxBlocks} are possible (Engine:FarTiers:MaxBlocksPerHolder). Withdraw some first.");
            return;
        }

        exchange.Begin();
        new HolderAnnounceResponse(holding.Number, removals, (uint)holding.Blocks, (uint)holding.MaxBlocks).WriteTo(exchange.Writer);
        exchange.Writer.End(status == AnnounceStatus.Behind ? NativeStatus.Behind : NativeStatus.Ok);
    }

    public static void Withdraw(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        if (!exchange.Require(AccessRights.Write) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        Span<byte> bits = stackalloc byte[BitSet.Bytes(keys.Count)];
        bits.Clear();
        var cursor = keys.GetCursor();
        for (var index = 0; cursor.TryNext(exchange.KeyBuffer, out var key); index++)
        {
            if (exchange.Holding?.Withdraw(key) == true)
            {
                BitSet.Set(bits, index);
            }
        }

        BitSet.Answer(exchange, bits);
    }

    public static void Asks(NativeExchange exchange)
    {
        if (!exchange.Require(AccessRights.Write))
        {
            return;
        }

        if (!HolderAsksRequest.TryRead(exchange.Receiver.Head, out var request) || request.MaxEntries is 0 or > HolderLimits.MaxAsksPerAnswer)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"HolderAsks: most entries is {request.MaxEntries}, 1 to {HolderLimits.MaxAsksPerAnswer} are possible; the head must be u64, u32, u32.");
            return;
        }

        if (exchange.Engine.FindHolding(exchange.Tenant, request.Holding) is not { } holding)
        {
            exchange.Answer(NativeStatus.Miss);
            return;
        }

        exchange.Writer.Flush(exchange.Channel);
        var asks = new List<HolderAsk>();
        var wait = TimeSpan.FromMilliseconds(Math.Min(request.WaitMilliseconds, NativeLimits.MaxWatchWaitMilliseconds));
        if (!holding.TryWait(asks, (int)request.MaxEntries, wait, exchange.Services.Stopping, out var removals))
        {
            exchange.Refuse(NativeStatus.BadRequest, $"HolderAsks: another connection waits already for what is asked of {request.Holding}; one is possible.");
            return;
        }

        exchange.Begin();
        HolderAsk.WriteAll(exchange.Writer, removals, asks);
        exchange.Writer.End(NativeStatus.Ok);
    }

    public static void Decline(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        var number = reader.ReadUInt64();
        if (!exchange.Require(AccessRights.Write))
        {
            return;
        }

        if (!reader.IsComplete)
        {
            exchange.Refuse(NativeStatus.BadRequest, "HolderDecline: the head must be u64.");
            return;
        }

        exchange.Answer(exchange.Engine.DeclineAsk(exchange.Tenant, number) ? NativeStatus.Ok : NativeStatus.Miss);
    }
}
