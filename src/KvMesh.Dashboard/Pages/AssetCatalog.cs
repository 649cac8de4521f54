using System.Collections.Frozen;
using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace KvMesh.Dashboard.Pages;

/// <summary>The files that a page needs, embedded in this assembly, so that they are there however the program was started.</summary>
public sealed class AssetCatalog
{
    private const string Prefix = "assets/";

    private readonly FrozenDictionary<string, Asset> _assets = Load().ToFrozenDictionary(asset => asset.Name);

    /// <summary>Path of an asset that changes when its content does, relative to the dashboard.</summary>
    public string PathOf(string name) => $"{DashboardExtensions.BasePath}/{Prefix}{name}?v={_assets[name].Tag}";

    public IResult Serve(string name, HttpContext context)
    {
        if (!_assets.TryGetValue(name, out var asset))
        {
            return TypedResults.NotFound();
        }

        var headers = context.Response.Headers;
        headers.CacheControl = context.Request.Query["v"] == asset.Tag ? "public, max-age=31536000, immutable" : "public, max-age=3600";
        headers.XContentTypeOptions = "nosniff";
        var etag = new EntityTagHeaderValue($"\"{asset.Tag}\"");
        if (asset.Compressed is null)
        {
            return TypedResults.Bytes(asset.Content, asset.ContentType, entityTag: etag);
        }

        headers.Vary = HeaderNames.AcceptEncoding;
        if (!AcceptsGzip(context.Request.Headers.AcceptEncoding))
        {
            return TypedResults.Bytes(asset.Content, asset.ContentType, entityTag: etag);
        }

        headers.ContentEncoding = "gzip";
        return TypedResults.Bytes(asset.Compressed, asset.ContentType, entityTag: new EntityTagHeaderValue($"\"{asset.Tag}-gzip\""));
    }

    private static bool AcceptsGzip(StringValues accepted) =>
        accepted.ToString().Split(',', StringSplitOptions.TrimEntries).Any(coding => coding is "gzip" or "*");

    private static IEnumerable<Asset> Load()
    {
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var resource in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(resource)!;
            var content = new byte[stream.Length];
            stream.ReadExactly(content);
            var type = TypeOf(resource);
            var isText = !type.StartsWith("font/", StringComparison.Ordinal);
            var tag = Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 8));
            yield return new Asset(resource[Prefix.Length..], type, tag, content, isText ? Compress(content) : null);
        }
    }

    private static string TypeOf(string resource) => Path.GetExtension(resource) switch
    {
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        ".woff2" => "font/woff2",
        _ => "text/plain; charset=utf-8",
    };

    private static byte[] Compress(byte[] content)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.SmallestSize))
        {
            gzip.Write(content);
        }

        return compressed.ToArray();
    }

    private sealed record Asset(string Name, string ContentType, string Tag, byte[] Content, byte[]? Compressed);
}
