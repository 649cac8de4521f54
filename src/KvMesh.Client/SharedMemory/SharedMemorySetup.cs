using KvMesh.Client.Connections;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Client.SharedMemory;

/// <summary>Asks a node for its arena and a staging file. Whatever it does not give, or cannot be mapped here, goes over the socket instead.</summary>
internal static class SharedMemorySetup
{
    /// <exception cref="ChannelException">The connection was lost.</exception>
    public static void Attach(GreetedSocket greeted, ArenaCache arenas, int stagingBytes)
    {
        greeted.Arena = Ask(greeted, Verb.Attach, 0, (head, file) =>
            AttachResponse.TryRead(head, out var layout) ? arenas.Attach(layout, file) : null);
        if (greeted.Arena is not null && stagingBytes > 0)
        {
            greeted.Staging = Ask(greeted, Verb.Staging, stagingBytes, MapStaging);
        }
    }

    private static StagingArea? MapStaging(ReadOnlySpan<byte> head, SafeFileHandle file)
    {
        var reader = new HeadReader(head);
        var bytes = reader.ReadUInt64();
        return reader.IsValid && bytes is > 0 and <= NativeLimits.MaxStagingBytes && MemoryFile.IsSizeSealed(file)
            ? StagingArea.Map(file, (long)bytes)
            : null;
    }

    private static T? Ask<T>(GreetedSocket greeted, Verb verb, int bytes, MapFile<T> map)
        where T : class
    {
        var writer = greeted.Writer;
        writer.Begin(verb, 0, FrameFlags.None);
        if (bytes > 0)
        {
            writer.WriteUInt64((ulong)bytes);
        }

        writer.End(NativeStatus.Ok);
        writer.Flush(greeted.Socket);

        using var catcher = new DescriptorCatcher(greeted.Socket);
        if (greeted.Receiver.Next(catcher, out var header, canIdle: false) != FrameArrival.Frame || header.Verb != verb)
        {
            throw new ChannelException($"The node did not answer {verb}.");
        }

        using var file = catcher.Take();
        try
        {
            return header.Status == NativeStatus.Ok && file is not null ? map(greeted.Receiver.Head, file) : null;
        }
        catch (IOException)
        {
            // Out of address space, or an arena that another process has cut: the socket serves as well.
            return null;
        }
    }

    private delegate T? MapFile<T>(ReadOnlySpan<byte> head, SafeFileHandle file);
}
