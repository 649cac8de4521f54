using KvMesh.Engine.Progressive;
using KvMesh.Gateway.Access;
using KvMesh.Protocol;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Gateway.Native.Progressive;

/// <summary>
/// Answers with sections of a block that is here or being written, or waits for the first. A request is credit for one answer, so a slow reader holds memory
/// only while an answer is sent to it.
/// </summary>
internal static class SectionFollowHandler
{
    public static void Handle(NativeExchange exchange)
    {
        var reader = new HeadReader(exchange.Receiver.Head);
        var request = SectionFollowRequest.Read(ref reader);
        if (!exchange.Require(AccessRights.Read) || !exchange.TryReadKeys(ref reader, out var keys))
        {
            return;
        }

        if (keys.Count != 1 || keys.Form != KeyForm.Chain)
        {
            exchange.Refuse(NativeStatus.BadRequest, $"SectionFollow: {keys.Count} keys of form {keys.Form} were given; one key of a chain is possible.");
            return;
        }

        if (request.Section > ProgressiveLimits.MaxSections || request.SectionBytes is 0 or > Limits.MaxBlockBytes)
        {
            exchange.Refuse(
                NativeStatus.BadRequest,
                $"SectionFollow: section is {request.Section}, at most {ProgressiveLimits.MaxSections} is possible; section bytes is {request.SectionBytes}, 1 to {Limits.MaxBlockBytes} are possible.");
            return;
        }

        var cursor = keys.GetCursor();
        cursor.TryNext(exchange.KeyBuffer, out var key);
        Follow(exchange, request, key);
    }

    private static void Follow(NativeExchange exchange, in SectionFollowRequest request, ReadOnlySpan<byte> key)
    {
        var position = new FollowPosition((int)request.Section, (int)request.SectionBytes, request.Proof, (int)Math.Min(request.MaxBytes, Limits.MaxBlockBytes));
        var status = Open(exchange, position, key, TimeSpan.Zero, out var read);
        if (status == FollowStatus.NotYet && request.WaitMilliseconds > 0)
        {
            if (!exchange.Services.Watchers.Wait(0, CancellationToken.None))
            {
                exchange.Refuse(NativeStatus.Unavailable, $"SectionFollow: {exchange.Services.Options.MaxWatchers} readers wait already, the limit of this node.");
                return;
            }

            try
            {
                exchange.Writer.Flush(exchange.Channel);
                status = Open(exchange, position, key, TimeSpan.FromMilliseconds(Math.Min(request.WaitMilliseconds, NativeLimits.MaxWatchWaitMilliseconds)), out read);
            }
            finally
            {
                exchange.Services.Watchers.Release();
            }
        }

        if (status != FollowStatus.Ready)
        {
            exchange.Answer(Translate(status));
            return;
        }

        try
        {
            Send(exchange, read);
        }
        finally
        {
            read.Dispose();
        }
    }

    private static FollowStatus Open(NativeExchange exchange, in FollowPosition position, ReadOnlySpan<byte> key, TimeSpan wait, out SectionRead read) =>
        exchange.Engine.TryFollow(exchange.Tenant, key, position, wait, exchange.Follower, exchange.LosslessOnly, out read, exchange.Services.Stopping);

    private static void Send(NativeExchange exchange, in SectionRead read)
    {
        var writer = exchange.Writer;
        exchange.Begin();
        new SectionFollowResponse { BlockBytes = (uint)read.BlockBytes, First = (uint)read.First, Count = (uint)read.Count, IsSealed = read.IsSealed }.WriteStart(writer);
        for (var section = read.First; section < read.First + read.Count; section++)
        {
            writer.WriteUInt32(read.ChecksumOf(section));
        }

        if (!read.Verify())
        {
            writer.Abandon();
            exchange.Answer(NativeStatus.Miss);
            return;
        }

        writer.End(NativeStatus.Ok, read.Payload.Length);
        writer.Flush(exchange.Channel, read.Payload);
    }

    private static NativeStatus Translate(FollowStatus status) => status switch
    {
        FollowStatus.NotYet => NativeStatus.NotYet,
        FollowStatus.Diverged => NativeStatus.Diverged,
        FollowStatus.LeaseRefused => NativeStatus.LeaseRefused,
        _ => NativeStatus.Miss,
    };
}
