using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvMesh.Protocol.Sockets;

/// <summary>
/// Bytes with descriptors beside them (SCM_RIGHTS). The kernel duplicates what is sent; what is received is new, belongs to
/// this process and is close-on-exec from its first moment.
/// </summary>
internal static unsafe class DescriptorMessage
{
    /// <summary>Most descriptors in one message. The kernel allows 253; more than this has no use and only costs stack.</summary>
    public const int MaxDescriptors = 64;

    // struct cmsghdr on 64-bit: size_t len, int level, int type; data follows, the whole rounded up to 8.
    private const int ControlHeaderBytes = 16;
    private const int ControlBytes = ControlHeaderBytes + (MaxDescriptors * sizeof(int));

    /// <summary>Returns the bytes sent, at least one, or -1 with the reason in the last error. The descriptors go with the first byte.</summary>
    public static nint Send(int socket, ReadOnlySpan<byte> data, ReadOnlySpan<int> descriptors)
    {
        ArgumentOutOfRangeException.ThrowIfZero(data.Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MaxDescriptors);
        var control = stackalloc byte[ControlBytes];
        new Span<byte>(control, ControlBytes).Clear();
        var length = ControlHeaderBytes + (descriptors.Length * sizeof(int));
        *(nuint*)control = (nuint)length;
        *(int*)(control + 8) = Libc.LevelSocket;
        *(int*)(control + 12) = Libc.ControlRights;
        descriptors.CopyTo(new Span<int>(control + ControlHeaderBytes, MaxDescriptors));
        fixed (byte* bytes = data)
        {
            var part = new Libc.IoVector { Data = bytes, Bytes = (nuint)data.Length };
            var message = new Libc.MessageHeader { Parts = &part, PartCount = 1 };
            if (!descriptors.IsEmpty)
            {
                message.Control = control;
                message.ControlBytes = (nuint)((length + 7) & ~7);
            }

            nint sent;
            do
            {
                sent = Libc.SendMessage(socket, &message, Libc.MessageNoSignal);
            }
            while (sent < 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted);

            return sent;
        }
    }

    /// <summary>Returns the bytes received (0 at the end of the stream), or -1 with the reason in the last error.</summary>
    public static nint Receive(int socket, Span<byte> buffer, Span<int> descriptors, out int count)
    {
        Debug.Assert(!buffer.IsEmpty, "an empty buffer cannot tell bytes from the end of the stream");
        var control = stackalloc byte[ControlBytes];
        fixed (byte* bytes = buffer)
        {
            var part = new Libc.IoVector { Data = bytes, Bytes = (nuint)buffer.Length };
            Libc.MessageHeader message;
            nint received;
            do
            {
                message = new Libc.MessageHeader { Parts = &part, PartCount = 1, Control = control, ControlBytes = ControlBytes };
                received = Libc.ReceiveMessage(socket, &message, Libc.MessageCloseOnExec);
            }
            while (received < 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted);

            count = received < 0 ? 0 : Collect(control, (int)message.ControlBytes, descriptors);
            return received;
        }
    }

    /// <summary>Walks the control messages; the kernel writes them well formed, and a truncated one keeps its true length.</summary>
    private static int Collect(byte* control, int controlBytes, Span<int> descriptors)
    {
        var count = 0;
        var offset = 0;
        while (offset + ControlHeaderBytes <= controlBytes)
        {
            var length = Math.Min((int)*(nuint*)(control + offset), controlBytes - offset);
            if (length < ControlHeaderBytes)
            {
                break;
            }

            if (*(int*)(control + offset + 8) == Libc.LevelSocket && *(int*)(control + offset + 12) == Libc.ControlRights)
            {
                foreach (var descriptor in new ReadOnlySpan<int>(control + offset + ControlHeaderBytes, (length - ControlHeaderBytes) / sizeof(int)))
                {
                    if (count < descriptors.Length)
                    {
                        descriptors[count++] = descriptor;
                    }
                    else
                    {
                        _ = Libc.Close(descriptor);
                    }
                }
            }

            offset += (length + 7) & ~7;
        }

        return count;
    }
}
