<?xml version="1.0" encoding="UTF-8"?>
<!-- Our own: <claims xmlns="urn:claimlint:837p"><segment id="CLM"><e>A</e><e/><e><c>11</c><c>B</c></e></segment>,
     segments in the order of 837P; every element has its place, empty ones too. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:saxon="http://icl.com/saxon"
    xmlns:cl="urn:claimlint:dialect"
    cl:title="claimlint"
    cl:detect="/*[local-name() = 'claims'][namespace-uri() = 'urn:claimlint:837p' or */@id]"
    cl:tag="segment\s[^&lt;&gt;]*?\bid\s*=\s*[&quot;']SEG[&quot;']">
  <xsl:output method="text" encoding="UTF-8"/>
  <xsl:template match="text()"/>

  <xsl:template name="segment" match="*[local-name() = 'segment' and @id]">
    <xsl:value-of select="concat(saxon:line-number(), '&#127;', @id)"/>
    <xsl:for-each select="*[local-name() = 'e']">
      <xsl:choose>
        <xsl:when test="*">
          <xsl:value-of select="concat('&#9;', position(), '&#127;')"/>
          <xsl:for-each select="*[local-name() = 'c']">
            <xsl:value-of select="concat('&#13;', position(), '&#127;',
                translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
          </xsl:for-each>
        </xsl:when>
        <xsl:otherwise>
          <xsl:value-of select="concat('&#9;', position(), '&#127;',
              translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
        </xsl:otherwise>
      </xsl:choose>
    </xsl:for-each>
    <xsl:text>&#10;</xsl:text>
  </xsl:template>
</xsl:stylesheet>
