using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace KvMesh.Worker.Tests.Model;

/// <summary>Writes safetensors files, as their format says.</summary>
internal static class SafetensorsWriter
{
    public static byte[] File(params (string Name, string Element, long[] Shape, byte[] Bytes)[] tensors)
    {
        var header = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
        var offset = 0L;
        foreach (var (name, element, shape, bytes) in tensors)
        {
            header.Append(CultureInfo.InvariantCulture, $",\"{name}\":{{\"dtype\":\"{element}\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{offset},{offset + bytes.Length}]}}");
            offset += bytes.Length;
        }

        return Raw(header.Append('}').ToString(), [.. tensors.SelectMany(tensor => tensor.Bytes)]);
    }

    /// <summary>Any header, padded to eight bytes with spaces as writers do.</summary>
    public static byte[] Raw(string header, byte[] data)
    {
        var text = Encoding.UTF8.GetBytes(header);
        var padded = (text.Length + 7) / 8 * 8;
        var file = new byte[8 + padded + data.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(file, (ulong)padded);
        file.AsSpan(8, padded).Fill((byte)' ');
        text.CopyTo(file, 8);
        data.CopyTo(file, 8 + padded);
        return file;
    }
}
