using System.Diagnostics;
using KvMesh.Engine.Events;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native.Peers;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native;

/// <summary>
/// Answers with the tenant's events after a sequence number, or waits for the first. A request is credit for one answer, so a slow
/// watcher costs nothing but the gap that it is told about.
/// </summary>
internal static class WatchHandler
{
    public static void Handle(NativeExchange exchange)
    {
        if (exchange.Receiver.Head.Length > WatchRequest.Bytes)
        {
            FeedHandler.Handle(exchange);
            return;
        }

        if (!exchange.Require(AccessRights.Read))
        {
            return;
        }

        if (!WatchRequest.TryRead(exchange.Receiver.Head, out var request) || request.AfterSequence < 0)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"Watch: after is {request.AfterSequence}; the head must be i64 ≥ 0, u32, u32.");
            return;
        }

        if (!exchange.Services.Watchers.Wait(0, CancellationToken.None))
        {
            exchange.Refuse(NativeStatus.Unavailable, $"Watch: {exchange.Services.Options.MaxWatchers} watchers wait already, the limit of this node.");
            return;
        }

        try
        {
            Wait(exchange, request);
        }
        finally
        {
            exchange.Services.Watchers.Release();
        }
    }

    private static void Wait(NativeExchange exchange, in WatchRequest request)
    {
        exchange.Writer.Flush(exchange.Channel);
        var events = new BlockEvent[Math.Clamp(request.MaxEvents, 1, NativeLimits.MaxWatchEvents)];
        var wait = TimeSpan.FromMilliseconds(Math.Min(request.WaitMilliseconds, NativeLimits.MaxWatchWaitMilliseconds));
        Answer(exchange, events, request.AfterSequence, wait);
    }

    private static void Answer(NativeExchange exchange, BlockEvent[] events, long after, TimeSpan wait)
    {
        var log = exchange.Engine.Events;
        var startedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            var count = after > log.LastSequence ? -1 : log.Read(after, events);
            if (count < 0)
            {
                Write(exchange, [], log.LastSequence, hasGap: true);
                return;
            }

            var own = Select(exchange.Tenant.Name, events.AsSpan(0, count), ref after);
            var rest = wait - Stopwatch.GetElapsedTime(startedAt);
            var isOver = rest <= TimeSpan.Zero || exchange.Services.Stopping.IsCancellationRequested;
            if (own.Count > 0 || (isOver && count == 0))
            {
                Write(exchange, own, after, hasGap: false);
                return;
            }

            if (count == 0)
            {
                log.Wait(after, rest, exchange.Services.Stopping);
            }
        }
    }

    /// <summary>The tenant's events among those read, as many as a head holds. Moves <paramref name="after"/> behind what was looked at.</summary>
    private static List<BlockEvent> Select(string tenant, ReadOnlySpan<BlockEvent> events, ref long after)
    {
        var own = new List<BlockEvent>();
        var bytes = WatchResponse.Bytes;
        foreach (var entry in events)
        {
            if (entry.Tenant == tenant)
            {
                bytes += WatchResponse.EventBytes + entry.Key.Length;
                if (bytes > NativeLimits.MaxHeadBytes)
                {
                    return own;
                }

                own.Add(entry);
            }

            after = entry.Sequence;
        }

        return own;
    }

    private static void Write(NativeExchange exchange, List<BlockEvent> events, long nextAfter, bool hasGap)
    {
        var writer = exchange.Writer;
        exchange.Begin();
        new WatchResponse(nextAfter, (uint)events.Count, hasGap).Write(writer);
        foreach (var entry in events)
        {
            writer.WriteInt64(entry.Sequence);
            writer.WriteByte((byte)entry.Kind);
            writer.WriteByte((byte)entry.Tiers);
            writer.WriteUInt16((ushort)entry.Key.Length);
            writer.WriteUInt32((uint)entry.PayloadBytes);
            writer.WriteBytes(entry.Key.Span);
        }

        writer.End(NativeStatus.Ok);
    }
}
