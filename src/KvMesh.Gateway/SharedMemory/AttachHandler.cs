using System.Runtime.InteropServices;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Protocol;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Gateway.SharedMemory;

/// <summary>
/// Hands a client a read-only descriptor of its tenant's arena, over the Unix socket it has authenticated on. Only an arena that holds
/// no other tenant's bytes is handed out.
/// </summary>
internal static class AttachHandler
{
    public static void Handle(NativeExchange exchange)
    {
        if (!exchange.Require(AccessRights.Read) || FindChannel(exchange) is not { } channel)
        {
            return;
        }

        using var arena = File.OpenHandle(exchange.Tenant.ArenaPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var header = default(ArenaHeader);
        var read = RandomAccess.Read(arena, MemoryMarshal.AsBytes(new Span<ArenaHeader>(ref header)), 0);
        if (read < Marshal.SizeOf<ArenaHeader>() || header.Magic != ArenaHeader.ExpectedMagic)
        {
            exchange.Refuse(NativeStatus.Unavailable, "Attach: the arena is not ready.");
            return;
        }

        exchange.Begin();
        new AttachResponse
        {
            FileBytes = (ulong)RandomAccess.GetLength(arena),
            DataOffset = (ulong)header.DataOffset,
            DataBytes = (ulong)header.DataBytes,
            DescriptorCount = (uint)header.DescriptorCount,
            DescriptorOffset = Limits.GranuleBytes,
            Incarnation = header.Incarnation,
        }.Write(exchange.Writer);
        exchange.Writer.End(NativeStatus.Ok);
        SendWithDescriptor(exchange, channel, arena);
        exchange.IsAttached = true;
    }

    /// <summary>The channel that can carry descriptors; refuses the request when there is none or memory is not shared here.</summary>
    public static IDescriptorChannel? FindChannel(NativeExchange exchange)
    {
        if (exchange.Connection.IsUnix && exchange.Services.Options.SharedMemory && exchange.Tenant.OwnsArena && exchange.Channel is IDescriptorChannel channel)
        {
            return channel;
        }

        exchange.Refuse(
            NativeStatus.NotSupported,
            $"{exchange.Request.Verb}: memory is shared only over the Unix socket, with tenants that have an arena of their own, and where the node allows it.");
        return null;
    }

    /// <summary>Sends what is due, with a descriptor beside its first byte. A client asks for descriptors with nothing else under way.</summary>
    public static void SendWithDescriptor(NativeExchange exchange, IDescriptorChannel channel, SafeFileHandle file)
    {
        var held = false;
        try
        {
            file.DangerousAddRef(ref held);
            channel.SendWithDescriptors(exchange.Writer.Pending, [(int)file.DangerousGetHandle()]);
            exchange.Writer.Reset();
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
        }
    }
}
